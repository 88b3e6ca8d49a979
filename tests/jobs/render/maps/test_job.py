"""``fastcam render`` on stores of maps, from end to end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.read.inputs.inputs import Item
from fastcam.run import scheduler
from fastcam.store.map_batch import BatchRows
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps

from .... import sample_map_stores

Call = Callable[..., Any]


def test_images(maps: Call, tmp_path: Path, rows: Call) -> None:
    store = sample_map_stores.image_store(tmp_path)
    assert maps().code == 0
    out = tmp_path / "out"
    names = ["001_a0.png", "002_a1.png", "003_a2.png"]
    assert sorted(path.name for path in out.glob("*.png")) == names
    listed = rows(out / "figures.csv")
    assert [row["path"] for row in listed] == names
    caption = "gradcam · layer3 · target 1"
    for index, row in enumerate(listed):
        values = store.map("gradcam/layer3", index)
        assert (float(row["low"]), float(row["high"])) == (float(values.min()), float(values.max()))
        limits = json.loads(row["limits"])
        assert list(limits) == [
            caption,
            "gradcam · layer4 · target 1",
            "attention · blocks.3 · mean of heads",
        ]
        assert limits[caption] == [float(values.min()), float(values.max())]
    run = json.loads((out / "run.json").read_text())
    ends = [float(listed[1][end]) for end in ("low", "high")]
    assert run["scale"]["limits"]["a1"][caption] == ends
    assert run["counts"]["figures_drawn"] == 3
    assert not (out / "failures.csv").exists()
    assert len({Image.open(out / name).size for name in names}) == 1


def test_the_store_may_be_in_the_output_folder(maps: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    assert maps(out=tmp_path).code == 0
    assert (tmp_path / "001_a0.png").is_file()
    assert json.loads((tmp_path / "run.json").read_text())["store"] == "run.zarr"
    assert maps("--overwrite", out=tmp_path).code == 0


def test_resume(maps: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    assert maps().code == 0
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.png")}
    (tmp_path / "out" / "002_a1.png").unlink()
    again = maps()
    assert "1 figures of 3 cases drawn" in again.out
    assert "2 were there already" in again.out
    now = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.png")}
    assert sum(now[p] == kept[p] for p in kept) == 2
    other = maps("--layer", "layer4")
    assert other.code == 2
    assert "other settings" in other.err
    assert maps("--layer", "layer4", "--overwrite").code == 0


def test_what_failed_and_what_is_not_done(maps: Call, tmp_path: Path, rows: Call) -> None:
    root = tmp_path / "images"
    root.mkdir()
    items = []
    for i in range(4):
        sample_map_stores.make_image(root / f"a{i}.png", 24, 40, i)
        items.append(Item(f"a{i}", "", root / f"a{i}.png"))
    store = create_maps(tmp_path / "run.zarr", sample_map_stores.attrs_of(root), items, 2)
    made = sample_map_stores.answers(1, {"gradcam/x": np.ones((1, 2, 2))}, (1, 24, 40))
    store.append(0, BatchRows(**{**vars(made), "reasons": ("", "it was no image")}))
    (root / "a0.png").unlink()
    outcome = maps()
    assert outcome.code == 1
    told = {row["case"]: row["reason"] for row in rows(tmp_path / "out" / "failures.csv")}
    assert "a0.png: is not there; give --root-dir" in told["a0"]
    assert "it was no image" in told["a1"]
    assert "run fastcam infer again" in told["a2"]
    assert told.keys() == {"a0", "a1", "a2", "a3"}
    sample_map_stores.make_image(root / "a0.png", 24, 40, 0)
    assert maps().code == 3
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["001_a0.png"]


def test_another_image_than_the_one_that_was_run(maps: Call, tmp_path: Path, rows: Call) -> None:
    sample_map_stores.image_store(tmp_path)
    sample_map_stores.make_image(tmp_path / "images" / "a1.png", 30, 30, 1)
    assert maps().code == 3
    (row,) = rows(tmp_path / "out" / "failures.csv")
    assert "has shape (1, 30, 30)" in row["reason"]
    assert "(1, 24, 40)" in row["reason"]


def test_images_that_were_moved(maps: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    shutil.move(tmp_path / "images", tmp_path / "moved")
    assert maps().code == 1
    assert maps("--root-dir", tmp_path / "moved").code == 0
    assert maps("--root-dir", tmp_path / "nowhere").code == 2


def test_masks_of_the_store_and_of_the_option(
    maps: Call, tmp_path: Path, pictures: Call, rows: Call
) -> None:
    sample_map_stores.image_store(tmp_path, masks=True)
    assert maps().code == 0
    with_masks = pictures(tmp_path / "out")
    other = tmp_path / "masks"
    other.mkdir()
    Image.fromarray(np.zeros((24, 40), np.uint8)).save(other / "a0.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(other / "a1.png")
    assert maps("--mask-dir", other, out=tmp_path / "other").code == 0
    found = pictures(tmp_path / "other")
    assert not np.array_equal(with_masks["001_a0.png"], found["001_a0.png"])
    warned = {row["case"]: row for row in rows(tmp_path / "other" / "failures.csv")}
    assert warned.keys() == {"a1", "a2"}
    assert {row["level"] for row in warned.values()} == {"warning"}
    assert "the mask has shape" in warned["a1"]["reason"]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        (("--only-errors",), [2]),
        (("--offset", 1), [2, 3]),
        (("--max-samples", 2), [1, 2]),
        (("--patient", "a2"), [3]),
    ],
)
def test_selection(maps: Call, tmp_path: Path, options, places, pictures: Call) -> None:
    sample_map_stores.image_store(tmp_path)
    assert maps(*options).code == 0
    assert [int(name[:3]) for name in pictures(tmp_path / "out")] == places


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--patient", "a9"), "'a9' is not among the 1 cases"),
        (("--only-errors",), "has no labels"),
        (("--mode", "all_slices"), "--mode all_slices is for volumes"),
        (("--analyze-stats",), "--analyze-stats is for patch attention"),
        (("--slices", "middle:3"), "--slices is for patch attention"),
        (("--head", "first"), "--head 'first'"),
        (("--layer", "layer9"), "did you mean layer"),
        (("--mask-dir", "nowhere"), "nowhere"),
    ],
)
def test_wrong_usage(maps: Call, tmp_path: Path, options, word: str) -> None:
    sample_map_stores.image_store(tmp_path, labels=("",))
    outcome = maps(*options)
    assert outcome.code == 2
    assert word in outcome.err
    assert not (tmp_path / "out").exists()


def test_patch_attention_needs_its_images_and_has_no_layers(
    fastcam: Call, render: Call, neck, tmp_path: Path
) -> None:
    outcome = fastcam("render", neck.results, "--output-dir", tmp_path / "out")
    assert outcome.code == 2
    assert "give --root-dir" in outcome.err
    outcome = render("--layer", "layer4")
    assert outcome.code == 2
    assert "choose among maps" in outcome.err


def test_cohort_limits_are_those_of_all_images(maps: Call, tmp_path: Path, rows: Call) -> None:
    store = sample_map_stores.image_store(tmp_path)
    assert maps("--scale", "cohort", "--patient", "a1").code == 0
    (row,) = rows(tmp_path / "out" / "figures.csv")
    for name, limits in json.loads(row["limits"]).items():
        if "attention" in name:
            every = [store.map("attention", i)[-1].mean(axis=0) for i in range(3)]
            # As multiples of uniform from 0 to the highest of the run, written in the image's unit.
            means = [float(values.mean(dtype=np.float64)) for values in every]
            highest = max(values.max() / mean for values, mean in zip(every, means, strict=True))
            own = means[int(row["place"]) - 1]
            assert limits == pytest.approx([0.0, max(2.0, highest) * own], rel=1e-6)
            continue
        every = [store.map(name.split(" · target")[0].replace(" · ", "/"), i) for i in range(3)]
        assert limits == pytest.approx([float(np.min(every)), float(np.max(every))], rel=1e-6)


@pytest.mark.parametrize("scale", ["slice", "rank"])
def test_other_scales(maps: Call, tmp_path: Path, rows: Call, scale: str) -> None:
    store = sample_map_stores.image_store(tmp_path)
    assert maps("--scale", scale, "--method", "gradcam").code == 0
    for index, row in enumerate(rows(tmp_path / "out" / "figures.csv")):
        low, high = float(row["low"]), float(row["high"])
        if scale == "rank":
            assert (low, high) == (0.0, 1.0)
        else:
            values = store.map("gradcam/layer3", index)
            assert values.min() <= low < high <= values.max() * 1.00001


def test_a_crop_shows_what_the_model_saw(maps: Call, tmp_path: Path, pictures: Call) -> None:
    sample_map_stores.image_store(tmp_path, labels=("1",), fit="crop", size=(24, 40))
    assert maps("--method", "gradcam", "--layer", "layer4").code == 0
    (cropped,) = pictures(tmp_path / "out").values()
    shutil.rmtree(tmp_path / "out")
    for path in (tmp_path / "run.zarr", tmp_path / "images"):
        shutil.rmtree(path)
    sample_map_stores.image_store(tmp_path, labels=("1",), size=(24, 40))
    assert maps("--method", "gradcam", "--layer", "layer4").code == 0
    (whole,) = pictures(tmp_path / "out").values()
    assert cropped.shape[0] > whole.shape[0]  # 24x24 of 24x40, enlarged to the same longer side


def test_regression_has_neither_class_nor_confidence(
    maps: Call, tmp_path: Path, rows: Call
) -> None:
    sample_map_stores.image_store(tmp_path, regression=True, labels=("3.5",), sign="both")
    assert maps("--method", "gradcam").code == 0
    (row,) = rows(tmp_path / "out" / "figures.csv")
    assert float(row["low"]) == -float(row["high"])
    page = (tmp_path / "out" / "index.html").read_text()
    assert "predicted 3.25" in page
    assert "confidence nan" not in page.lower()


def test_the_gallery_of_maps(maps: Call, fastcam: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    assert maps().code == 0
    page = (tmp_path / "out" / "index.html").read_text()
    for word in (
        "gradcam, attention: resnet18",
        "1 predicted right, 1 wrong, 1 without a label",
        "highest value",
        '"flat":true',
        "001_a0.png",
    ):
        assert word in page, word
    (tmp_path / "out" / "index.html").unlink()
    assert fastcam("gallery", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "index.html").read_text() == page


def test_two_processes_draw_the_same_bytes(
    maps: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_FEW", 0)
    sample_map_stores.image_store(tmp_path)
    drawn = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        assert maps("--workers", workers, "--scale", "cohort", out=out).code == 0
        files = [*out.glob("*.png"), out / "figures.csv"]
        drawn.append({path.name: path.read_bytes() for path in files})
    assert drawn[0] == drawn[1]


def test_a_damaged_store_is_one_line(maps: Call, tmp_path: Path) -> None:
    store: MapStore = sample_map_stores.image_store(tmp_path)
    for chunk in (store.path / "maps" / "gradcam" / "layer3").glob("c.0*"):
        chunk.unlink()
    outcome = maps()
    assert outcome.code == 3
    assert "error: a0" in outcome.out
    assert "Traceback" not in outcome.out + outcome.err
