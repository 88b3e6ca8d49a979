"""``fastcam infer``, ``explain``, ``inspect --model`` and ``export`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fastcam.models.registry import load_model

Call = Callable[..., Any]
NET = """
import torch
from torch import nn

def factory():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3, stride=2, padding=1), nn.ReLU(),
                         nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="weights are random"):
        model = load_model("resnet18", num_classes=3)
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    for group in ("a", "b"):
        (folder / group).mkdir(parents=True)
        for index in range(2):
            pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / group / f"{group}{index}.png")
    return folder


def options(weights: Path, output: Path, *more: Any) -> list[Any]:
    common = f"--model resnet18 --checkpoint {weights} --image-size 64 --output-dir {output}"
    return [*common.split(), *more]


def test_infer_render_and_again(fastcam: Call, weights: Path, images: Path, tmp_path: Path) -> None:
    given = options(weights, tmp_path / "out", "--workers", 0, "--batch-size", 3)
    first = fastcam("infer", images, *given, "--layer", "layer3", "--layer", "layer4", "--json")
    assert first.code == 0, first
    said = json.loads(first.out)
    assert (said["images"], said["done"], said["failed"]) == (4, 4, 0)
    again = fastcam("infer", images, *given, "--layer", "layer3", "--layer", "layer4")
    assert "0 images" in again.out
    assert "4 were there already" in again.out
    other = fastcam("infer", images, *given, "--layer", "layer4")
    assert other.code == 2
    assert "--overwrite to replace it" in other.err
    assert other.err.count("\n") == 1
    drawn = fastcam(
        "render", tmp_path / "out" / "run.zarr", "--output-dir", tmp_path / "fig", "--workers", 1
    )
    assert drawn.code == 0, drawn
    assert len(list((tmp_path / "fig").glob("*.png"))) == 4


def test_inspect_lists_layers(fastcam: Call, weights: Path) -> None:
    found = fastcam("inspect", "--model", "resnet18", "--checkpoint", weights, "--image-size", "64")
    assert found.code == 0, found
    (line,) = [line for line in found.out.splitlines() if line.split()[:1] == ["layer4"]]
    assert line.split() == ["layer4", "Sequential", "512", "x", "2", "x", "2", "auto"]


def test_volumes_to_nifti_on_their_own_grid(fastcam: Call, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    rng = np.random.default_rng(0)
    affine = np.array([[0, -2, 0, 5], [3, 0, 0, -7], [0, 0, 4, 1], [0, 0, 0, 1]], float)
    (tmp_path / "volumes").mkdir()
    volume = nibabel.Nifti1Image(rng.normal(100, 20, (20, 24, 9)).astype(np.float32), affine)
    nibabel.save(volume, tmp_path / "volumes" / "p1.nii.gz")
    made = fastcam(
        f"infer {tmp_path}/volumes --model {tmp_path}/net.py:factory --image-size "
        f"8x16x16 --output-dir {tmp_path}/out --workers 0 --layer 0"
    )
    assert made.code == 0, made
    store = tmp_path / "out" / "run.zarr"
    exported = fastcam("export", store, "--output-dir", tmp_path / "nii")
    assert exported.code == 0, exported
    found = nibabel.Nifti1Image.from_filename(tmp_path / "nii" / "p1_gradcam_0.nii.gz")
    assert found.shape == volume.shape
    np.testing.assert_allclose(found.affine, affine)
    drawn = fastcam(f"render {store} --output-dir {tmp_path}/fig --mode all_slices --workers 1")
    assert drawn.code == 0, drawn
    assert len(list((tmp_path / "fig" / "001_p1").glob("*.png"))) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("infer IMAGES --model resnet19 --output-dir OUT", "resnet18"),
        ("infer IMAGES --model resnet18 --output-dir OUT --checkpoint no.pth", "no.pth"),
        ("infer NOWHERE --model resnet18 --output-dir OUT", "NOWHERE"),
        ("infer IMAGES --model resnet18 --image-size big --output-dir OUT", "--image-size 'big'"),
        ("infer IMAGES --model resnet18 --mean a --output-dir OUT", "--mean 'a'"),
        ("explain IMAGES --model resnet18 --layer layr4", "layer4"),
        ("explain IMAGES --model resnet18 --method rollout", "attention"),
        ("explain IMAGES --model resnet18 --target cat", "--target 'cat'"),
        ("inspect", "give either a FILE or a --model"),
    ],
)
def test_mistakes_are_one_line(
    fastcam: Call, images: Path, tmp_path: Path, arguments: str, message: str
) -> None:
    paths = arguments.replace("IMAGES", str(images)).replace("OUT", str(tmp_path / "out"))
    outcome = fastcam(paths)
    assert outcome.code == 2, outcome
    assert message in outcome.err
    lines = [
        line
        for line in outcome.err.splitlines()
        if line.startswith("fastcam: ") and "warning" not in line
    ]
    assert len(lines) == 1
    assert not (tmp_path / "out" / "run.zarr").exists()
