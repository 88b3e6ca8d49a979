"""Volumes and masks of every kind of file, and how their slices are shown."""
