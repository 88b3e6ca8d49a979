# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A CNN on a test set
#
# A network predicts a number for every image of a test set. How good is it, and does it look where it should?
#
# fastcam's synthetic faces are 10 to 90 years old, and their age shows in the lines of the forehead alone. A small CNN
# learns it from ages; nothing tells it where to look. Training takes ten seconds.

# %%
from pathlib import Path

from fastcam.demo.age_set import make_ages, write_ages
from fastcam.demo.train_age import HELD_OUT_SEED, MODEL_NAME, TrainSettings, train
from fastcam.models.training import save_weights

model, history = train(TrainSettings(faces=400, epochs=8))
save_weights(model, Path("age.safetensors"))
write_ages(make_ages(60, HELD_OUT_SEED), Path("faces"))
print(
    f"error while training: {history[0].error:.1f} years at first, {history[-1].error:.1f} at the end"
)
print(*sorted(path.name for path in Path("faces").iterdir()))

# %% [markdown]
# ## One call evaluates
#
# `Images/` are the faces, `Masks/` the foreheads, and `characteristics.csv` has the true ages. On the command line:
#
# ```bash
# fastcam evaluate --model my_model.py:AgeNet --checkpoint age.safetensors --image-dir faces/Images \
#     --table faces/characteristics.csv --target age --output-dir out --explain 3
# ```

# %%
import fastcam

report = fastcam.evaluate(
    MODEL_NAME,
    "faces/Images",
    "faces/characteristics.csv",
    "out",
    target="age",
    checkpoint="age.safetensors",
    explain=3,
    panel_size=192,
)
print({name: round(report.metrics[name], 2) for name in ("mae", "rmse", "r2")})

# %% [markdown]
# Each metric has a bootstrap interval in `test_metrics.json`. The plot has the predictions, and the distribution of the
# errors:

# %%
from IPython.display import Image

Image("out/evaluation_results.png", width=800)

# %% [markdown]
# ## The best and the worst
#
# Grad-CAM of the best prediction, and of the worst. The mask's outline is red, and the header is green where the error is
# below `good_below`, 5 years by default.

# %%
Image("out/gradcam_best_sample.png")

# %%
Image("out/gradcam_worst_sample.png")

# %% [markdown]
# ## Does it look at the forehead?
#
# Two pictures prove nothing. The share of each map inside the mask, over the whole test set, and beside it what chance
# would reach:

# %%
Image("out/localization.png", width=800)

# %% [markdown]
# Change the report's settings and call again: the model doesn't run a second time, because its maps and outputs are in
# `out/run.zarr`.
#
# **Next:** [how to evaluate your own test set](../how-to/test-set.md), and [whether the maps are
# faithful](faithfulness.md).
