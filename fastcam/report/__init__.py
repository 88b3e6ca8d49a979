"""What the reports of several jobs share: statistics, plots, and columns of text."""
