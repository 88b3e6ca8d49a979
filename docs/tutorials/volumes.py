# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Volumes
#
# A 3-D network on NIfTI files. We make volumes in which one of two bright spots is a hollow sphere, train a small 3-D CNN
# to recognize it, and see whether its maps lie there.

# %%
from pathlib import Path

import nibabel
import numpy as np

SIDE = 32
rng = np.random.default_rng(0)
grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"))


def make_volume(hollow):
    """A volume (x, y, z) with two spots, of which one is hollow if `hollow`; and that one's mask."""
    volume = rng.normal(100, 12, (SIDE, SIDE, SIDE)).astype(np.float32)
    mask = np.zeros(volume.shape, np.uint8)
    for number, side in enumerate(rng.permutation([8, 23])):
        center = np.array([side, *rng.integers(9, 23, 2)])
        distance = np.sqrt(((grid - center[:, None, None, None]) ** 2).sum(0))
        shell = hollow and number == 0
        volume[(distance < 6) & (distance > 3.2 if shell else True)] += 60
        if shell:
            mask[distance < 6] = 1
    return volume, mask


AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])  # voxels of 1 × 1 × 2 mm
for folder in ("scans", "masks"):
    Path(folder).mkdir(exist_ok=True)
for index in range(6):
    volume, mask = make_volume(hollow=index % 2 == 0)
    nibabel.save(nibabel.Nifti1Image(volume, AFFINE), f"scans/case_{index}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), f"masks/case_{index}.nii.gz")

# %% [markdown]
# ## A model file
#
# fastcam takes any module. A function in a file of yours makes it available to the command line, too.

# %%
# %%writefile volume_net.py
from torch import nn


def build(num_classes: int = 2) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(8, 16, 3, padding=1),
        nn.BatchNorm3d(16),
        nn.ReLU(),
        nn.Conv3d(16, 16, 3, padding=1),
        nn.BatchNorm3d(16),
        nn.ReLU(),
        nn.AdaptiveMaxPool3d(1),
        nn.Flatten(),
        nn.Linear(16, num_classes),
    )


# %% [markdown]
# Training, in a few seconds. Volumes are given to the network as (z, y, x), and from 0 to 1: fastcam will window them at the
# percentiles 0.5 and 99.5 of each volume.

# %%
import torch
from volume_net import build


def model_input(volume):
    low, high = np.percentile(volume, (0.5, 99.5))
    return torch.from_numpy(np.clip((volume.T - low) / (high - low), 0, 1).astype(np.float32))[None]


torch.manual_seed(0)
torch.set_num_threads(1)
model = build()
optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
for _ in range(120):
    labels = torch.arange(8) % 2
    batch = torch.stack([model_input(make_volume(bool(label))[0]) for label in labels])
    loss = torch.nn.functional.cross_entropy(model(batch), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "volume_net.pth")
print(f"loss {loss.item():.3f}")

# %% [markdown]
# ## Run it over the files
#
# ```bash
# fastcam infer scans --model volume_net.py:build --checkpoint volume_net.pth --mask-dir masks \
#     --image-size 32x32x32 --mean 0 --std 1 --layer 6 --output-dir run
# ```

# %%
import fastcam

report = fastcam.infer(
    "volume_net.py:build",
    "scans",
    "run",
    checkpoint="volume_net.pth",
    mask_dir="masks",
    image_size=(SIDE, SIDE, SIDE),
    mean=[0.0],
    std=[1.0],
    layers=["6"],
    method=["gradcam", "hirescam"],
)
store = fastcam.open_store(report.store)
for index, header in enumerate(store.headers):
    print(header.id, "predicted", header.prediction, store.map("gradcam/6", index).shape)

# %% [markdown]
# ## Draw the slices
#
# The map has half of the volume's resolution, and is enlarged to it. The mask's outline is red.

# %%
from IPython.display import Image

fastcam.render(
    report.store, output_dir="figures", methods=["gradcam"], patients=["case_0"], panel_size=256
)
Image(next(Path("figures").glob("*.png")))

# %% [markdown]
# ## Back into NIfTI
#
# `export` writes the maps on the grid of the source with its affine, so that any viewer shows them over the scan.

# %%
fastcam.export(report.store, output_dir="maps", methods=["gradcam"])
written = nibabel.load(next(Path("maps").glob("case_0*")))
print(written.shape, np.allclose(written.affine, AFFINE))

# %% [markdown]
# ## In numbers
#
# How much of the map lies in the hollow sphere, against its share of the volume?

# %%
mask = np.asarray(nibabel.load("masks/case_0.nii.gz").dataobj) > 0
values = written.get_fdata()
print(f"{values[mask].sum() / values.sum():.2f} of the map; by chance {mask.mean():.3f}")

# %% [markdown]
# **Next:** a 2-D network runs over volumes slice by slice: [how-to](../how-to/dicom-2d.md). Masks with other grids and
# orientations are explained in [Images, volumes and masks](../reference/images.md).
