"""Figures of attention and CAM maps, from a store of maps."""
