"""What jobs run on: work items, Dask, the output folder, and files on disk."""
