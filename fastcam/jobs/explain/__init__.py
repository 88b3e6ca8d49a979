"""A few images explained at once: runs of the methods, what came of them, figures and files."""
