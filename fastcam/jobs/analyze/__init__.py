"""Analysis of a test set at several depths of a model: maps, numbers, comparisons, a report."""
