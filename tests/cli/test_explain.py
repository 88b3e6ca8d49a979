"""``fastcam explain`` as a user types it: the files it writes, and what it says."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fastcam.api.explain import explain
from fastcam.api.models import load_model
from fastcam.figures import layout

from ..figures.expected_pixels import JET

Call = Callable[..., Any]
NET = """
import torch
from torch import nn

def factory():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    net.image_size = 32
    return net
"""
# NaN for a picture of one colour.
CONTRAST = """
class Contrast(nn.Module):
    def forward(self, x):
        flat = (x.amax((2, 3)) - x.amin((2, 3))).sum(1) < 1e-3
        return x.masked_fill(flat[:, None, None, None], float("nan"))
"""
SMALL = ["--panel-size", 64]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("net") / "net.py"
    path.write_text(NET)
    return f"{path}:factory"


@pytest.fixture(scope="module")
def vit_weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints of vit_tiny at 32 pixels, 16-pixel patches."""
    folder = tmp_path_factory.mktemp("vits")
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        with pytest.warns(UserWarning, match="weights are random"):
            model = load_model("vit_tiny", image_size=32, num_classes=3)
        paths.append(folder / f"seed{seed}.safetensors")
        save_file(model.state_dict(), paths[-1])
    return paths


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A colour, a grey and a transparent picture of 64 pixels."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, shape in (("colour", (64, 64, 3)), ("grey", (64, 64)), ("rgba", (64, 64, 4))):
        coarse = rng.integers(0, 256, (8, 8, *shape[2:]), dtype=np.uint8)
        pixels = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_LINEAR)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def test_pages_for_a_paper(fastcam: Call, net: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = fastcam(
        f"explain {images}/colour.png --model {net} --layer 0 --output-dir {out} --format svg "
        "--panels overlay,image --width-mm 90 --panel-size 300"
    )
    assert made.code == 0, made
    names = ["colour_explained.svg", "gradcam_heatmap.svg", "gradcam_overlay.svg"]
    assert sorted(path.name for path in out.iterdir()) == [*names, "index.html"]
    svg = (out / names[0]).read_text(encoding="utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert texts.index("gradcam · 0, own scale; overlay") < texts.index("image")
    assert min(float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)) >= 7
    assert svg.count("<image") == 3  # two panels and a bar
    page = (out / "index.html").read_text(encoding="utf-8")
    assert all(f'href="./{name}"' in page or f'"{name}"' in page for name in names)


def test_an_image_has_its_files_in_the_folder(
    fastcam: Call, net: str, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = fastcam(
        f"explain {images}/colour.png --model {net} --method gradcam --method eigencam "
        f"--layer 0 --output-dir {out}",
        *SMALL,
    )
    assert made.code == 0, made
    names = [
        "colour_explained.png",
        "gradcam_heatmap.png",
        "gradcam_overlay.png",
        "eigencam_heatmap.png",
        "eigencam_overlay.png",
    ]
    assert made.out.split() == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "index.html"])
    steps = [line for line in made.err.splitlines() if line.startswith("[")]
    assert steps == [
        f"[1/4] loading {net}",
        "[2/4] reading 1 image",
        "[3/4] gradcam, eigencam at 0",
        "[4/4] drawing",
    ]


def test_the_overlay_is_the_map_over_the_image(
    fastcam: Call, net: str, images: Path, tmp_path: Path
) -> None:
    """The file's pixels, from the API's raw map by OpenCV."""
    source = images / "colour.png"
    made = fastcam(
        f"explain {source} --model {net} --layer 0 --target 1 --heat-alpha 0.3 "
        f"--output-dir {tmp_path}/out",
        *SMALL,
    )
    assert made.code == 0, made
    cells = explain(load_model(net), source, "gradcam", "0", 1).maps["0"][0]
    large = cv2.resize(cells, (64, 64), interpolation=cv2.INTER_LINEAR)
    level = np.rint(255 * (large - cells.min()) / (cells.max() - cells.min())).astype(int)
    picture = np.asarray(Image.open(source)).astype(float)
    wanted = 0.7 * picture + 0.3 * JET[level]
    canvas = np.asarray(Image.open(tmp_path / "out" / "gradcam_overlay.png"))
    plans = [layout.arrange(((layout.Cell(64, 64),),), lines, 1.0) for lines in (1, 2)]
    (area,) = next(p for p in plans if (p.height, p.width) == canvas.shape[:2]).areas
    x, y = area.panel.x, area.panel.y
    # A level of JET is at most five of a colour, and rounding is added to it.
    assert np.abs(canvas[y : y + 64, x : x + 64] - wanted).max() <= 0.3 * 5 + 1


def test_several_images_have_a_folder_each(
    fastcam: Call, net: str, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = fastcam("explain", images, "--model", net, "--output-dir", out, "--json", *SMALL)
    assert made.code == 0, made
    said = json.loads(made.out)
    assert [path.name for path in sorted(out.iterdir())] == [
        "colour",
        "grey",
        "index.html",
        "rgba",
    ]
    for folder in filter(Path.is_dir, out.iterdir()):
        assert {path.name for path in folder.iterdir()} == {
            f"{folder.name}_explained.png",
            "gradcam_heatmap.png",
            "gradcam_overlay.png",
        }
    assert sorted(said["figures"]) == sorted(str(path) for path in out.rglob("*.png"))
    assert said["failed"] == []
    (model,) = said["models"]
    assert model["images"] == ["colour", "grey", "rgba"]
    assert model["maps"] == {"1": [3, 8, 8]}


def test_an_unreadable_image_costs_only_its_own_figures(
    fastcam: Call, net: str, images: Path, tmp_path: Path, rows: Any, whole: Any
) -> None:
    (images / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    made = fastcam("explain", images, "--model", net, "--output-dir", out, *SMALL)
    assert made.code == 3, made
    names = ["colour", "failures.csv", "grey", "index.html", "rgba"]
    assert sorted(p.name for p in out.iterdir()) == names
    (row,) = rows(out / "failures.csv")
    assert (row["case"], row["level"]) == ("broken", "error")
    assert "broken.png" in row["reason"]
    assert f"error: broken: {row['reason']}" in made.out
    whole(out)
    (images / "broken.png").unlink()
    assert fastcam("explain", images, "--model", net, "--output-dir", out, *SMALL).code == 0
    assert not (out / "failures.csv").exists()


def test_an_image_whose_answer_is_not_finite_fails_alone(
    fastcam: Call, images: Path, tmp_path: Path, rows: Any
) -> None:
    broken = NET.replace("nn.ReLU()", "Contrast()").replace("padding=1", "padding=0")
    (tmp_path / "broken.py").write_text(broken + CONTRAST)
    Image.fromarray(np.full((64, 64, 3), 118, np.uint8)).save(images / "flat.png")
    out = tmp_path / "out"
    made = fastcam(
        f"explain {images} --model {tmp_path}/broken.py:factory --layer 0 --output-dir {out}",
        *SMALL,
    )
    assert made.code == 3, made
    (row,) = rows(out / "failures.csv")
    assert (row["case"], row["place"]) == ("flat", "2")
    assert row["reason"].startswith("gradcam · 0 holds NaN")
    assert (out / "grey" / "gradcam_overlay.png").exists()
    assert not (out / "flat").exists()


@pytest.mark.parametrize("layers", [("--layer", 0, "--layer", -1), ("--layers", "0,-1")])
def test_layers_and_checkpoints_are_compared(
    fastcam: Call, vit_weights: list[Path], images: Path, tmp_path: Path, layers: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    made = fastcam(
        f"explain {images}/grey.png --model vit_tiny --checkpoint {vit_weights[0]} "
        f"--checkpoint {vit_weights[1]} --output-dir {out}",
        *layers,
        *SMALL,
    )
    assert made.code == 0, made
    assert sorted(path.name for path in out.iterdir()) == [
        "grey_explained.png",
        "index.html",
        "patch_attention_heatmap.png",
        "patch_attention_overlay.png",
        "patch_grid.png",
    ]
    assert "[4/6] seed0: attention at 0, -1" in made.err
    assert "[5/6] seed1: attention at 0, -1" in made.err
    # Two rows of image, two heat panels with bars, and two overlays.
    cell, bar = layout.Cell(64, 64), layout.Cell(64, 64, True)
    shape = Image.open(out / "grey_explained.png").size
    row = (cell, bar, bar, cell, cell)
    plans = [
        layout.arrange((row, row), lines, 1.0, captions)
        for lines, captions in itertools.product((1, 2), (1, 2, 3, 4))
    ]
    assert shape in [(plan.width, plan.height) for plan in plans]


def test_every_method_that_the_model_has(
    fastcam: Call, vit_weights: list[Path], images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = fastcam(
        f"explain {images}/grey.png --model vit_tiny --checkpoint {vit_weights[0]} "
        f"--method all --output-dir {out}",
        *SMALL,
    )
    assert made.code == 0, made
    found = {path.name.removesuffix("_overlay.png") for path in out.glob("*_overlay.png")}
    assert {"gradcam", "eigencam", "gradcam_plus_plus", "patch_attention", "rollout"} <= found
    assert not found & {"window", "channel", "overlap", "scorecam"}
    assert "no window: " in made.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "reconstruction"], "give one at least, --support"),
        (["--support", "IMAGE", "--method", "gradcam"], "--support is for --method reconstruction"),
        (["--layer", "9"], "'9' does not exist"),
        (["--layers", "0,,1"], "--layer '0,,1': a name is missing"),
        (["--layer", "layercam=0", "--method", "gradcam"], "'layercam' is not among the methods"),
        (["--head", "x"], "--head 'x' is not known"),
        (["--target", "label"], "--target label"),
        (["--target", "7"], "7"),
        (["--method", "window"], "window"),
        (["--checkpoint", "a.pth", "--checkpoint", "a.pth"], "given twice"),
        (["--use-mab"], "only --model fewshot_vit has this"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    fastcam: Call, net: str, images: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    out = tmp_path / "out"
    given = [str(images / "grey.png") if a == "IMAGE" else a for a in arguments]
    made = fastcam(f"explain {images}/grey.png --model {net} --output-dir {out}", *given)
    assert made.code == 2, made
    (line,) = [
        line
        for line in made.err.splitlines()
        if line.startswith("fastcam: ") and "warning" not in line
    ]
    assert said in line
    assert made.out == ""
    assert not out.exists()


@pytest.mark.parametrize("option", ["--layer", "--head"])
def test_out_of_range_names_the_range(
    fastcam: Call, vit_weights: list[Path], images: Path, tmp_path: Path, option: str
) -> None:
    made = fastcam(
        f"explain {images}/grey.png --model vit_tiny --checkpoint {vit_weights[0]} "
        f"--method attention {option} 12 --output-dir {tmp_path}/out"
    )
    assert made.code == 2, made
    assert ("0 to 11" if option == "--layer" else "0 to 2") in made.err
    assert not (tmp_path / "out").exists()


def test_images_that_are_all_unreadable(fastcam: Call, net: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    for images in ([tmp_path / "a.png"], [tmp_path / "a.png", tmp_path / "b.png"]):
        made = fastcam("explain", *images, "--model", net, "--output-dir", out)
        assert made.code == 2, made
        assert "a.png" in made.err
        assert not out.exists()
