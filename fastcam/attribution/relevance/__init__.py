"""Attention weighted by its gradient: how much each place of the image matters to an output."""
