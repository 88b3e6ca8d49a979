# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Seven views of a Vision Transformer
#
# fastcam ships a tiny Vision Transformer that tells six shapes apart among clutter. It has four layers of four heads on
# 80×80 pixels, cut into patches of 8. Everything here works with timm's, torchvision's and Hugging Face's transformers,
# and with your own.

# %%
from pathlib import Path

from fastcam.demo.shapes_set import CLASSES, make_shapes
from fastcam.demo.vit import HELD_OUT_SEED, load_demo_model, write_images

model = load_demo_model()
pictures = make_shapes(6, HELD_OUT_SEED)
paths = write_images(pictures, Path("images"), 6)
print([path.name for path in paths])

# %% [markdown]
# ## One forward pass
#
# `run_vit` runs the model once and keeps what the views need. Each view also takes a model and images.

# %%
import fastcam
from fastcam import views
from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.inference.images import load_images, resolve_preprocessing
from fastcam.options import Style

batch = load_images(paths, resolve_preprocessing(model, None))
vit_pass = run_vit(model, batch.batch)
small = Style(panel_size=192)
[CLASSES[index] for index in vit_pass.output.argmax(1).tolist()]

# %% [markdown]
# ## 1 The patches
#
# What the model sees: a grid of patches, each with its number.

# %%
views.patch_grid(model, paths[0], style=small)

# %% [markdown]
# ## 2 Position embeddings
#
# Nothing tells a transformer where a patch lies but its position embedding. Trained embeddings are similar for patches in
# the same row, column or neighborhood.

# %%
views.position_embedding(model)

# %% [markdown]
# ## 3 Attention by layer
#
# What the CLS token reads in each layer, mean of the heads.

# %%
views.attention_layers(model, paths[0], style=small)

# %% [markdown]
# ## 4 All heads of a layer
#
# Heads specialize: some follow the object, some the background.

# %%
views.all_heads(model, paths[0], style=small)

# %% [markdown]
# ## 5 Attention distance
#
# How far each head looks, in pixels, averaged over the images.

# %%
views.attention_distance(model, paths)

# %% [markdown]
# ## 6 The CLS token through the layers

# %%
views.cls_evolution(model, paths[0])

# %% [markdown]
# ## 7 Rollout
#
# Attention through all layers at once.

# %%
views.attention_rollout(model, paths[0], style=small)

# %% [markdown]
# ## And does the prediction depend on it?
#
# Attention shows where information is read. Grad-CAM beside it explains the class:

# %%
result = fastcam.explain(model, paths[:1], method=["attention", "gradcam"])
result.figure(0, panel_size=256)

# %% [markdown]
# **Next:** [how to look into your own transformer](../how-to/vision-transformer.md), and [what attention says and doesn't
# say](../explanation/attention.md).
