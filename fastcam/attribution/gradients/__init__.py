"""Gradients of an output by the pixels of the input, plain, smoothed and integrated."""
