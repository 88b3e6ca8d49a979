"""The pages of plots of a test set, as PNG files."""
