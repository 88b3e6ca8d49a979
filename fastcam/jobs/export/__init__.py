"""The job of ``fastcam export``: maps as files on the grid of their sources."""
