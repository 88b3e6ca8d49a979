"""Run stores in Zarr: patch attention of cases, and maps of images or volumes."""
