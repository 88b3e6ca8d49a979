"""The public functions, one module each; ``fastcam`` offers them by name."""
