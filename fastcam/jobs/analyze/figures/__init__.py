"""The figures of an analysis: maps of images, mean maps of classes, channels, and curves."""
