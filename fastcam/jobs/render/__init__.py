"""The job of ``fastcam render``: figures of patch attention and of maps."""

# Modules that the fork server imports, so that workers start with all they need.
PRELOAD = ("fastcam.run.collection_off", "fastcam.jobs.render.preload")

# Modules that the main process imports after it has read its input.
LATER = ("distributed.nanny", "nibabel.nifti1", "zarr")
