"""Channels of an integer graph that no input can change, or that nothing reads: found, folded and removed."""
