"""``fastcam doctor`` and ``fastcam inspect``: what this machine and a file hold."""
