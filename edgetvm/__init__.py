"""EdgeTVM compiles neural networks for edge devices."""
