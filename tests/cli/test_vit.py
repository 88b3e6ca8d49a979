"""``fastcam vit`` as a user types it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fastcam.attribution.attention import vit_pass
from fastcam.jobs.vit.attention_views import attention_layers
from fastcam.jobs.vit.position_embedding import position_embedding
from fastcam.jobs.vit.request import VIEWS
from fastcam.models.vit import VisionTransformer, VitSettings

Call = Callable[..., Any]
FILES = [
    "vis_1_patch_grid.png",
    "vis_2_position_embedding.png",
    "vis_3_attention_layers.png",
    "vis_4_all_heads.png",
    "vis_5_attention_distance.png",
    "vis_6_cls_evolution.png",
    "vis_7_attention_rollout.png",
]
PAGE = "index.html"
OF_EACH = [FILES[at] for at in (0, 2, 3, 5, 6)]
NO_CLS = """
from fastcam.models.vit import VisionTransformer, VitSettings

def factory():
    return VisionTransformer(VitSettings(dim=12, depth=2, heads=3, patch_size=(8, 8),
        image_size=(32, 32), num_classes=3, class_token=False, mean_pooling=True))
"""


def saved(path: Path, seed: int) -> Path:
    """A Vision Transformer of 4 x 4 patches, as small as the name vit_tiny allows."""
    torch.manual_seed(seed)
    settings = VitSettings(
        dim=192, depth=2, heads=3, patch_size=(8, 8), image_size=(32, 32), num_classes=3
    )
    path.parent.mkdir(exist_ok=True)
    save_file(VisionTransformer(settings).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weights")
    return [saved(folder / name / "model.safetensors", at) for at, name in enumerate("ab")]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"picture{index}.png" for index in range(3)]
    for path, channels in zip(paths, (3, 1, 4), strict=True):
        pixels = rng.integers(0, 256, (40, 60, channels), dtype=np.uint8)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return paths


def options(weights: Path, output: Path, *more: Any) -> list[Any]:
    common = f"--model vit_tiny --checkpoint {weights} --panel-size 64 --output-dir {output}"
    return [*common.split(), *more]


def test_seven_views_of_one_image(
    fastcam: Call, weights: list[Path], images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    made = fastcam("vit", images[0], *options(weights[0], out))
    assert made.code == 0, made
    assert sorted(path.name for path in out.iterdir()) == [PAGE, *FILES]
    assert made.out.split() == [str(out / name) for name in FILES]


@pytest.mark.parametrize("batch_size", [16, 2])
def test_several_images_share_the_forward_pass(
    fastcam: Call,
    weights: list[Path],
    images: list[Path],
    tmp_path: Path,
    batch_size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Grey and RGBA ones too; figures are the same as alone, whatever the batch is."""
    sizes: list[int] = []
    run = vit_pass.run_vit

    def counted(model: Any, batch: Any, *rest: Any) -> Any:
        sizes.append(len(batch))
        return run(model, batch, *rest)

    monkeypatch.setattr("fastcam.jobs.vit.job.run_vit", counted)
    out = tmp_path / "out"
    views = ["--view", 1, "--view", 3, "--view", 5]
    given = options(weights[0], out, "--batch-size", batch_size, "--json", *views)
    made = fastcam("vit", *images, *given)
    assert made.code == 0, made
    assert sizes == ([3] if batch_size == 16 else [2, 1])
    assert sorted(p.name for p in out.iterdir()) == [
        PAGE,
        "picture0",
        "picture1",
        "picture2",
        FILES[4],
    ]
    assert len(json.loads(made.out)["figures"]) == 3 * 2 + 1
    monkeypatch.setattr("fastcam.jobs.vit.job.run_vit", run)
    alone = tmp_path / "alone"
    assert fastcam("vit", images[1], *options(weights[0], alone, *views)).code == 0
    for name in (FILES[0], FILES[2]):
        assert (out / "picture1" / name).is_file()
        found, expected = (np.asarray(Image.open(f / name)) for f in (out / "picture1", alone))
        assert found.shape == expected.shape
        # Another batch rounds differently: a level of colour here and there.
        assert np.mean(np.abs(found.astype(int) - expected) > 6) < 0.002


def test_an_image_that_fails_costs_only_its_own_figures(
    fastcam: Call, rows: Call, weights: list[Path], images: list[Path], tmp_path: Path
) -> None:
    """The first batch is a broken file alone; a small image hasn't the pixel asked about."""
    broken, small, out = tmp_path / "broken.png", tmp_path / "small.png", tmp_path / "out"
    broken.write_bytes(images[0].read_bytes()[:200])
    Image.new("RGB", (20, 20)).save(small)
    given = options(weights[0], out, "--view", 3, "--query", "50,30", "--batch-size", 1)
    made = fastcam("vit", broken, images[0], small, images[1], *given, "--json")
    assert made.code == 3, made
    told = json.loads(made.out)
    assert [Path(path).parent.name for path in told["figures"]] == ["picture0", "picture1"]
    assert [one["image"] for one in told["failed"]] == ["broken", "small"]
    assert "x is 0 to 19" in told["failed"][1]["reason"]
    assert sorted(p.name for p in out.iterdir()) == [
        "failures.csv",
        PAGE,
        "picture0",
        "picture1",
    ]
    assert [row["case"] for row in rows(out / "failures.csv")] == ["broken", "small"]
    alone = fastcam(
        "vit", broken, small, *options(weights[0], tmp_path / "none", "--query", "50,30")
    )
    assert alone.code == 2
    assert "no image can be shown: " in alone.err
    assert not (tmp_path / "none").exists()


def test_chosen_views_by_number_or_name(
    fastcam: Call, weights: list[Path], images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ["--view", "7", "--view", "patch_grid", "--view", "1", "--format", "svg"]
    given = options(weights[0], out, *asked)
    made = fastcam("vit", images[0], *given)
    assert made.code == 0, made
    names = [PAGE, *(FILES[at].replace(".png", ".svg") for at in (0, 6))]
    assert sorted(path.name for path in out.iterdir()) == names
    assert ">rollout" in (out / names[2]).read_text(encoding="utf-8")


def test_pages_for_a_paper(
    fastcam: Call, weights: list[Path], images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    paper = ["--panels", "overlay,image", "--format", "svg", "--width-mm", 120, "--panel-size", 300]
    made = fastcam("vit", images[0], *options(weights[0], out, "--view", 7, *paper))
    assert made.code == 0, made
    svg = (out / "vis_7_attention_rollout.svg").read_text(encoding="utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert texts.index("overlay, rollout") < texts.index("image")
    assert min(float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)) >= 7
    assert svg.count("<image") == 3  # two panels and a bar


def test_random_weights_are_said_on_every_figure_and_the_page(
    fastcam: Call, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []

    def watched(*args: Any, **named: Any) -> Any:
        titles.append(named["title"])
        return position_embedding(*args, **named)

    monkeypatch.setattr("fastcam.jobs.vit.plan.position_embedding", watched)
    out = tmp_path / "out"
    made = fastcam(
        f"vit {images[0]} --model vit_tiny --image-size 32 --panel-size 300 "
        f"--format svg --output-dir {out} --view 2 --view 3"
    )
    assert made.code == 0, made
    assert titles == ["random weights"]
    assert "random weights: the maps mean nothing" in (out / PAGE).read_text(encoding="utf-8")
    assert "random weights" in (out / "vis_3_attention_layers.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("query", "asked"), [("59,39", (59, 39)), ("5", 5), ("10,0", (10, 0))])
def test_what_is_asked_reaches_the_view(
    fastcam: Call,
    weights: list[Path],
    images: list[Path],
    tmp_path: Path,
    query: str,
    asked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, Any]] = []

    def watched(*args: Any, **named: Any) -> Any:
        seen.append(named)
        return attention_layers(*args, **named)

    monkeypatch.setattr("fastcam.jobs.vit.item.attention_layers", watched)
    made = fastcam(
        f"vit {images[0]} --view 3 --layers 1,-2 --head 2 --query {query} --compare {weights[1]} "
        "--interpolation nearest",
        *options(weights[0], tmp_path / "out"),
    )
    assert made.code == 0, made
    (named,) = seen
    assert (named["layers"], named["head"], named["query"]) == ((1, -2), 2, asked)
    assert named["interpolation"] == "nearest"
    assert named["labels"] == ("a/model", "b/model")
    assert named["compare"].grid == (4, 4)


def test_a_pixel_of_a_cropped_image(
    fastcam: Call, weights: list[Path], images: list[Path], tmp_path: Path
) -> None:
    """Of 60 x 40 pixels the middle 40 x 40 are seen: x from 10 to 49."""
    out = tmp_path / "out"
    given = options(weights[0], out, "--view", 3, "--fit", "crop", "--query")
    for query, code in (("9,0", 2), ("50,0", 2), ("10,0", 0), ("49,39", 0)):
        made = fastcam("vit", images[0], *given, query)
        assert made.code == code, made
        assert out.exists() == (code == 0)
        assert "the model sees x from 10 to 49 and y from 0 to 39" in made.err or not code


def test_all_views_compare(
    fastcam: Call, weights: list[Path], images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = fastcam("vit", images[0], images[1], *options(weights[0], out, "--compare", weights[1]))
    assert made.code == 0, made
    assert sorted(path.name for path in (out / "picture1").iterdir()) == OF_EACH


def test_a_model_without_cls(fastcam: Call, images: list[Path], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NO_CLS)
    out = tmp_path / "out"
    given = ["--model", f"{tmp_path / 'net.py'}:factory", "--output-dir", out, "--panel-size", 64]
    made = fastcam("vit", images[0], *given)
    assert made.code == 0, made
    assert "no view cls_evolution: the model has no CLS token" in made.err
    names = [PAGE, *(name for name in FILES if "cls_evo" not in name)]
    assert sorted(p.name for p in out.iterdir()) == names
    asked = fastcam("vit", images[0], *given[:2], "--output-dir", tmp_path / "no", "--view", 6)
    assert asked.code == 2
    assert "the model has no CLS token" in asked.err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["IMAGE"], "no model given"),
        (["--model", "vit_tiny"], "no images given"),
        (["IMAGE", "--demo"], "--demo goes with --output-dir and --json only"),
        (["--demo", "--head", "1"], "--demo goes with --output-dir and --json only"),
        (["IMAGE", "VIT", "--view", "8"], "1 patch_grid, 2 position_embedding"),
        (["IMAGE", "VIT", "--view", "rollout"], "--view 'rollout'"),
        (["IMAGE", "VIT", "--layers", "0,2"], "has 2 layers of attention; use 0 to 1"),
        (["IMAGE", "VIT", "--layers", "one"], "--layers 'one'"),
        (["IMAGE", "VIT", "--head", "3"], "layer 0 has 3 heads; use 0 to 2"),
        (["IMAGE", "VIT", "--head", "all"], "--head 'all'"),
        (["IMAGE", "VIT", "--panels", "slice"], "use one of image, mask, heat, overlay"),
        (["IMAGE", "VIT", "--panels", "mask"], "these figures have image, heat, overlay"),
        (["IMAGE", "VIT", "--query", "60,0"], "x is 0 to 59, y is 0 to 39"),
        (["IMAGE", "VIT", "--query", "16"], "there are 16 patches"),
        (["IMAGE", "VIT", "--query", "1,2,3"], "--query '1,2,3'"),
        (["IMAGE", "VIT", "--compare", "no.safetensors"], "no.safetensors"),
        (["IMAGE", "VIT", "--panel-size", "8"], "--panel-size 8"),
        (["IMAGE", "VIT", "--start-layer", "2"], "has 2 layers of attention; use 0 to 1"),
        (["IMAGE", "VIT", "--discard-ratio", "1"], "--discard-ratio 1.0"),
        (["IMAGE", "VIT", "--prefix-tokens", "3"], "after 3 prefix tokens (given)"),
        (["IMAGE", "VIT", "--fit", "exact"], "picture0.png is 60x40 pixels, and the model sees"),
        (["IMAGE", "VIT", "--image-size", "30"], "--image-size 30x30 is not a multiple"),
        (["IMAGE", "--model", "resnet18"], "ResNet"),
        (["NOWHERE", "VIT"], "NOWHERE"),
        (["TEXT", "VIT"], "text.png"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    fastcam: Call,
    weights: list[Path],
    images: list[Path],
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    places: dict[str, list[Any]] = {
        "IMAGE": [images[0]],
        "TEXT": [tmp_path / "text.png"],
        "VIT": ["--model", "vit_tiny", "--checkpoint", weights[0]],
    }
    given = [each for argument in arguments for each in places.get(argument, [argument])]
    outcome = fastcam("vit", *given, "--output-dir", tmp_path / "out")
    assert outcome.code == 2, outcome
    assert said in outcome.err
    assert len([line for line in outcome.err.splitlines() if "warning" not in line]) == 1
    assert not (tmp_path / "out").exists()


def test_names_of_files_and_functions_agree() -> None:
    assert [f"vis_{at}_{view}.png" for at, view in enumerate(VIEWS, 1)] == FILES
