"""Figures of patch attention, from a results file or a run store."""
