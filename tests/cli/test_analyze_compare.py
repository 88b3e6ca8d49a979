"""``fastcam analyze --compare``: two models over the same images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.cli.analyses import LAYERS, NET, class_folders, results

Call = Callable[..., Any]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return class_folders(tmp_path)


def compared_headers(folder: Path) -> Any:
    from fastcam.store.maps import MapStore

    return MapStore.open(folder / "compare" / "run.zarr").headers


def test_two_models(analyze: Call, images: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    namespace: dict[str, Any] = {}
    exec(NET.replace("CHANNELS", "3").replace("OUTPUTS", "2"), namespace)
    model = namespace["factory"]()
    save_file(model.state_dict(), tmp_path / "same.safetensors")
    with torch.no_grad():
        model[5].weight.neg_()
    save_file(model.state_dict(), tmp_path / "other.safetensors")
    weights, other = tmp_path / "same.safetensors", tmp_path / "other.safetensors"
    made = analyze(images, "--checkpoint", weights, "--compare", other)
    assert made.code == 0, made
    found = results(tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    others = {header.id: header for header in compared_headers(tmp_path / "out")}
    classes = sorted(path.name for path in images.iterdir())
    for image in found["images"]:
        assert (tmp_path / "out" / image["models_path"]).is_file()
        assert set(image["agreement"]) == set(LAYERS)
        second = others[image["id"]]
        own = f"same.safetensors: predicted {image['predicted_name']} {image['confidence']:.4f}, "
        its = f"other.safetensors: predicted {classes[second.prediction]} {second.confidence:.4f}, "
        assert own + ("correct" if image["right"] else "wrong") in page
        right = image["class_folder"] == classes[second.prediction]
        assert its + ("correct" if right else "wrong") in page
    shutil.rmtree(tmp_path / "out")
    shutil.copy(tmp_path / "same.safetensors", tmp_path / "twin.safetensors")
    analyze(images, "--checkpoint", weights, "--compare", tmp_path / "twin.safetensors")
    for image in results(tmp_path / "out")["images"]:
        known = [value for value in image["agreement"].values() if value is not None]
        assert known == pytest.approx([1.0] * len(known))


def test_what_the_second_model_cannot_is_told(analyze: Call, images: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(images / "cat" / "black.png")
    namespace: dict[str, Any] = {}
    exec(NET.replace("CHANNELS", "3").replace("OUTPUTS", "2"), namespace)
    model = namespace["factory"]()
    save_file(model.state_dict(), tmp_path / "one.safetensors")
    with torch.no_grad():
        # Overflows on all that isn't black.
        model[0].weight.mul_(1e38)
    save_file(model.state_dict(), tmp_path / "huge.safetensors")
    made = analyze(
        images,
        *f"--checkpoint {tmp_path}/one.safetensors --compare {tmp_path}/huge.safetensors".split(),
        *["--mean", "0,0,0", "--std", "1,1,1", "--json"],
    )
    assert made.code == 3, made
    failures = json.loads(made.out)["troubles"]
    (warned,) = [failure for failure in failures if failure["level"] == "warning"]
    assert "is of one color everywhere" in warned["reason"]
    failures.remove(warned)
    assert len(failures) == 6
    assert all(failure["reason"].startswith("not compared: ") for failure in failures)
    for image in results(tmp_path / "out")["images"]:
        assert (tmp_path / "out" / image["layers"]["5"]["heatmap_path"]).is_file()
        assert bool(image.get("models_path")) == (image["id"] == "black")
