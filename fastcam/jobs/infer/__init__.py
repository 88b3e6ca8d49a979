"""``fastcam infer``: a model run over images or volumes into a run store."""
