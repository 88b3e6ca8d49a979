"""The job of ``fastcam evaluate``: a model on a test set, in numbers, plots and figures."""
