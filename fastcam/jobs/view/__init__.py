"""The job of ``fastcam view``: a reading room in the browser, drawn live from what runs left."""
