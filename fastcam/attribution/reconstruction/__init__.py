"""Queries compared with support images by reconstructing their features."""
