"""``fastcam vit``: the seven views of a Vision Transformer, from one forward pass."""
