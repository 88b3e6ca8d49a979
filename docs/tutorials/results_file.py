# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a results file to figures
#
# You have tested a patch-attention model, and your script has pickled its results: for each case the prediction, the
# attention weights, and the boxes that they belong to. This tutorial draws them.
#
# First some data. fastcam can make a synthetic test set: neck volumes with and without a calcified plaque, masks of the
# neck, and the results of an imaginary model.

# %%
from pathlib import Path

from fastcam.demo.neck_set import make_test_set

data = make_test_set(Path("data"), cases=6, slices=16, size=192)
print(data.results, *sorted(path.name for path in data.images.iterdir()))

# %% [markdown]
# ## Look into the file
#
# Pickles can execute code when they are loaded. fastcam reads them with an exact list of what such files need, and
# executes nothing; so it is safe to look.

# %%
# !fastcam inspect data/results.pkl

# %% [markdown]
# ## Draw every case
#
# `render` finds the volume and the mask of each case by its name, checks every box, and draws the slice with the highest
# weight. On the command line this is
#
# ```bash
# fastcam render data/results.pkl --root-dir data/images --mask-dir data/masks --output-dir figures
# ```

# %%
import fastcam

report = fastcam.render(
    data.results,
    root_dir=data.images,
    mask_dir=data.masks,
    output_dir="figures",
    analyze_stats=True,
    panel_size=256,
)
print(report.drawn, "figures;", sorted(path.name for path in Path("figures").glob("*.png")))

# %% [markdown]
# One of them: the slice, the mask, the attention, and the attention over the slice with the boxes of the highest weights.
# The header is green because the prediction was right.

# %%
from IPython.display import Image

first = next(Path("figures").glob("001_*.png"))
Image(first)

# %% [markdown]
# The fifth case was predicted wrongly. Where did the model look?

# %%
Image(next(Path("figures").glob("005_*.png")))

# %% [markdown]
# Open `figures/index.html` to browse all of them: it filters by right and wrong, searches, and sorts.
#
# ## The numbers behind
#
# `figures.csv` lists every file with its slice and the limits of its color bar, and `statistics.csv` how concentrated
# the attention is.

# %%
import csv

with Path("figures/statistics.csv").open(newline="") as file:
    for row in csv.DictReader(file):
        print({name: row[name] for name in list(row)[:6]})

# %% [markdown]
# The results themselves are in a run store, which your own programs can read:

# %%
store = fastcam.open_store("figures/run.zarr")
case = store.case(0)
print(case.name, case.weights.shape, case.boxes[case.weights.argmax()])

# %% [markdown]
# ## All slices of a case
#
# `mode="all_slices"` draws every slice that holds patches into a folder for each case, all on one color scale, and writes
# a summary. If the run stops, the same call draws only what is missing.

# %%
report = fastcam.render(
    data.results,
    root_dir=data.images,
    mask_dir=data.masks,
    output_dir="slices",
    mode="all_slices",
    patients=["neck_001"],
    panel_size=192,
)
folder = next(Path("slices").glob("001_*"))
print((folder / "_summary.txt").read_text())

# %% [markdown]
# **Next:** [how to draw your own results file](../how-to/results-file.md), and [what the colors
# mean](../explanation/scales.md).
