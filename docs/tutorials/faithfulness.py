# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Are the maps faithful?
#
# A map looks convincing. Does the output depend on what it marks? `fastcam evaluate --faithfulness` answers this for a test
# set; here we do the same by hand, on the Vision Transformer that ships with fastcam.

# %%
from pathlib import Path

import fastcam
import numpy as np
from fastcam.demo.shapes_set import make_shapes
from fastcam.demo.vit import HELD_OUT_SEED, load_demo_model, write_images
from fastcam.inference.images import load_images, resolve_preprocessing

model = load_demo_model()
paths = write_images(make_shapes(8, HELD_OUT_SEED), Path("images"), 8)
images = load_images(paths, resolve_preprocessing(model, None)).batch

# %% [markdown]
# ## Three maps of the same images
#
# Grad-CAM, the CLS attention of the last layer, and rollout.

# %%
result = fastcam.explain(model, paths, method=["gradcam", "attention", "rollout"])
maps = {}
for name, values in result.maps.items():
    while values.ndim > 3:  # attention: (n, layers, heads, h, w); the last layer, mean of heads
        values = values[:, -1] if values.ndim == 5 else values.mean(1)
    maps[name] = values
    print(name, values.shape)
result.figure(0, panel_size=192)

# %% [markdown]
# ## Deletion and insertion
#
# Pixels are removed in the order of the map, the highest first, and the probability of the class is recorded: for a faithful
# map it falls soon. Then they are added in the same order to a blurred image. Random maps of the same resolution and a
# centered blob are measured, too, because an area says little by itself (Petsiuk et al. 2018).

# %%
from fastcam.attribution.faithfulness.perturbation_curves import (
    FaithfulnessSettings,
    faithfulness,
)

settings = FaithfulnessSettings(steps=20)
curves = {
    name: faithfulness(model, images, values, settings=settings) for name, values in maps.items()
}
for name, measured in curves.items():
    areas = {
        kind: float(np.nanmean(measured.auc(kind)))
        for kind in ("deletion", "random_deletion", "centre_deletion")
    }
    print(f"{name:12}", {kind: round(area, 3) for kind, area in areas.items()})

# %%
import matplotlib.pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for name, measured in curves.items():
    for panel, kind in zip(panels, ("deletion", "insertion"), strict=True):
        panel.plot(measured.fractions, np.nanmean(getattr(measured, kind), 0), label=name)
        panel.set(title=kind, xlabel="share of the pixels")
for panel, kind in zip(panels, ("random_deletion", "random_insertion"), strict=True):
    values = np.nanmean(getattr(next(iter(curves.values())), kind), 0)
    panel.plot(measured.fractions, values, "k:", label="random maps")
panels[0].set_ylabel("probability of the class")
_ = panels[0].legend()
# %% [markdown]
# ## Cascading randomization
#
# Layers are re-initialized one after another, from the output down, in a copy of the model. A map that stays as it was
# shows the image, not what was learned (Adebayo et al. 2018).

# %%
from fastcam.attribution.engines import build_shown_engine
from fastcam.attribution.faithfulness.parameter_randomization import randomize_layers
from fastcam.attribution.request import MapRequest

request = MapRequest(("gradcam",), ())
checked = randomize_layers(model, lambda copy: build_shown_engine(copy, request), images)
for layer, correlation in zip(checked.layers, checked.spearman.mean(1), strict=True):
    print(f"{layer:20} {correlation:+.2f}")
print(f"random maps          {checked.random.mean():+.2f}")
print(f"another image's map  {checked.other_image.mean():+.2f}")

# %% [markdown]
# How to read both, and where their limits lie, is explained in [Are the maps
# faithful?](../explanation/faithfulness.md)
