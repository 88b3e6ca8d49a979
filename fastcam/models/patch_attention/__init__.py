"""The patch-attention model: its network, the patches it takes, and its training."""
