"""What is known of a device: its target file, its TVM target and its C toolchain."""
