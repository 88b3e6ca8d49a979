"""``fastcam analyze`` as a user types it, on a tiny model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.analyses import LAYERS, class_folders, results

Call = Callable[..., Any]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return class_folders(tmp_path)


def test_the_whole_road(
    analyze: Call, images: Path, tmp_path: Path, whole: Callable[[Path], None]
) -> None:
    made = analyze(images, "--json", "--dpi", 300)
    assert made.code == 0, made
    said = json.loads(made.out)
    assert (said["images"], said["failed"], said["figures_drawn"]) == (6, 0, 6 * 5)
    assert said["classes"] == {"cat": 3, "dog": 3}
    out = tmp_path / "out"
    found = results(out)
    assert [image["id"] for image in found["images"]] == [
        "cat/1",
        "2",
        "3",
        "dog/1",
        "4",
        "5",
    ]
    assert found["layers"] == list(LAYERS)
    for image in found["images"]:
        for layer in LAYERS:
            entry = image["layers"][layer]
            name = image["id"].replace("/", "_")
            stem = f"{name}_{layer}_{image['predicted_name']}"
            assert entry["heatmap_path"] == f"gradcam_heatmaps/{stem}_heatmap.png"
            assert entry["overlay_path"] == f"overlay_images/{stem}_overlay.png"
            assert {"raw", "normalised", "activation_area", "center_of_mass", "peak"} == set(
                entry["feature_statistics"]
            )
            with Image.open(out / entry["heatmap_path"]) as picture:
                assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.02)
                picture.load()
        assert (out / image["layers_path"]).is_file()
    for file in found["files"]:
        assert (out / file).is_file(), file
    assert "class_comparison/cat_vs_dog.png" in found["files"]
    report = (out / "summary_report.txt").read_text(encoding="utf-8")
    for word in ("cat", "dog", "consistency", "Mann-Whitney U", "cat/1"):
        assert word in report
    whole(out)


def test_a_second_run_draws_nothing_and_says_the_same(
    analyze: Call, images: Path, tmp_path: Path
) -> None:
    first = analyze(images, "--json")
    before = results(tmp_path / "out")
    (tmp_path / "out" / before["images"][0]["layers"]["5"]["overlay_path"]).unlink()
    again = analyze(images, "--json", "--language", "zh")
    assert (first.code, again.code) == (0, 0), again
    said = json.loads(again.out)
    assert (said["figures_drawn"], said["figures_already_there"]) == (1, 29)
    assert results(tmp_path / "out") == before
    assert "一致性" in (tmp_path / "out" / "summary_report.txt").read_text(encoding="utf-8")
    other = analyze(images, "--heat-alpha", 0.4)
    assert other.code == 2
    assert "heat-alpha 0.7, now 0.4" in other.err
    assert analyze(images, "--heat-alpha", 0.4, "--overwrite").code == 0


def test_pages_for_a_paper(analyze: Call, images: Path, tmp_path: Path) -> None:
    paper = ("--panels", "overlay,image", "--dpi", 150)
    made = analyze(images, *paper)
    assert made.code == 0, made
    out = tmp_path / "out"
    (overlay,) = out.glob("overlay_images/cat_1_2_*.png")
    (layers,) = out.glob("layer_comparison/cat_1_*.png")
    for path in (overlay, layers, out / "class_comparison/cat_vs_dog.png"):
        with Image.open(path) as picture:
            assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.02)
    # One row of overlays, without the heat below.
    with Image.open(layers) as picture:
        assert picture.height < 3 * 64
    assert analyze(images, *paper).code == 0
    other = analyze(images, "--panels", "image,overlay", "--dpi", 150)
    assert other.code == 2
    assert "panels" in other.err


def test_random_weights_are_said_on_every_figure_and_the_page(
    fastcam: Call, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = fastcam(
        f"analyze --model resnet18 --num-classes 2 --images {images} --image-size 32 "
        f"--layer layer1 --output-dir {out} --panel-size 300 --workers 1 --format svg"
    )
    assert made.code == 0, made
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Layers compared, random weights: the maps mean nothing" in page
    drawn = [path for path in out.rglob("*.svg") if "statistics" not in path.name]
    assert {path.parent.name for path in drawn} == {
        "class_comparison",
        "feature_maps",
        "gradcam_heatmaps",
        "layer_comparison",
        "overlay_images",
    }
    for path in drawn:
        # The words may go on in the next line of a narrow figure.
        text = path.read_text(encoding="utf-8")
        assert "random" in text, path
        assert "weights" in text, path


@pytest.mark.parametrize(
    ("panels", "said"),
    [
        ("mask", "--panels mask: these figures have image, heat, overlay instead"),
        ("slice", "--panels 'slice' is not known: use one of image, mask, heat, overlay"),
    ],
)
def test_panels_that_there_are_not(
    analyze: Call, images: Path, tmp_path: Path, panels: str, said: str
) -> None:
    made = analyze(images, "--panels", panels)
    assert made.code == 2
    assert said in made.err
    assert not (tmp_path / "out").exists()


def test_statistics_are_those_of_the_stored_maps(
    analyze: Call, images: Path, tmp_path: Path
) -> None:
    from fastcam.jobs.analyze.map_statistics import feature_statistics
    from fastcam.store.maps import MapStore

    analyze(images)
    store = MapStore.open(tmp_path / "out" / "run.zarr")
    for index, image in enumerate(results(tmp_path / "out")["images"]):
        cells = store.shown_map("gradcam/5", index)
        known = feature_statistics(cells, (0, 0, 48, 40))
        found = image["layers"]["5"]["feature_statistics"]
        assert found["raw"]["max_activation"] == pytest.approx(known.raw.max_activation)
        assert found["activation_area"] == pytest.approx(known.activation_area)


def test_halves(analyze: Call, images: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    odd = rng.integers(0, 256, (40, 47, 3), dtype=np.uint8)
    Image.fromarray(odd).save(images / "dog" / "odd.png")
    made = analyze(images, "--mirror", "--json", channels=6)
    assert made.code == 3, made
    (failure,) = json.loads(made.out)["troubles"]
    assert failure["image"] == "odd"
    assert "47 pixels wide" in failure["reason"]
    assert "47 pixels wide" in (tmp_path / "out" / "failures.csv").read_text(encoding="utf-8")
    found = results(tmp_path / "out")
    assert found["halves"] == "mirror"
    for image in found["images"]:
        assert image["left_share"] + image["right_share"] == pytest.approx(1)
        statistics = image["layers"]["5"]["feature_statistics"]
        if statistics["center_of_mass"] is not None:
            left, right = statistics["center_of_mass"], statistics["center_of_mass_right"]
            assert left["x"] + right["x"] == pytest.approx(47)
            assert left["y"] == right["y"]
    assert (tmp_path / "out" / "left_right_shares.png").is_file()
    drawn = tmp_path / "rendered"
    assert drawn.exists() is False


def test_a_store_of_halves_is_drawn_on_both_by_render(
    analyze: Call, fastcam: Call, images: Path, tmp_path: Path
) -> None:
    from fastcam.options import MapChoice
    from fastcam.store.map_rows import choose_rows
    from fastcam.store.maps import MapStore

    assert analyze(images, "--asymmetry", channels=6).code == 0
    path = tmp_path / "out" / "run.zarr"
    store = MapStore.open(path)
    shapes = {row.array: row.read(store, 0).shape for row in choose_rows(store, MapChoice())}
    assert shapes == {"gradcam/2": (40, 48), "gradcam/5": (40, 48), "gradient_x_input": (24, 48)}
    layer = store.map("gradcam/5", 0)
    row = next(r for r in choose_rows(store, MapChoice()) if r.array == "gradcam/5")
    shown = row.read(store, 0)
    np.testing.assert_array_equal(shown[:, :24], shown[:, 24:])
    assert layer.shape == (12, 12)
    drawn = fastcam(
        "render", path, "--output-dir", tmp_path / "fig", "--workers", 1, "--panel-size", 64
    )
    assert drawn.code == 0, drawn


def test_a_regression(analyze: Call, images: Path, tmp_path: Path) -> None:
    made = analyze(images, "--layer", "5", outputs=1)
    assert made.code == 0, made
    (first, *_) = results(tmp_path / "out")["images"]
    assert first["predicted"] is None
    assert first["layers"]["5"]["heatmap_path"].endswith("_5_value_heatmap.png")


def test_one_image(analyze: Call, images: Path, tmp_path: Path) -> None:
    made = analyze(images / "cat" / "2.png", "--class-names", "ill,well")
    assert made.code == 0, made
    (only,) = results(tmp_path / "out")["images"]
    assert only["predicted_name"] in ("ill", "well")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--asymmetry",), "this one has 3"),
        (("--mirror",), "--mirror turns over the right half"),
        (("--layer", "nowhere"), "layer 'nowhere' does not exist"),
        (("--layer", "auto", "--layer", "5"), "auto goes alone"),
        (("--pattern", "*.tiff"), "no file matches"),
        (("--method", "rollout"), "analyze compares CAMs"),
        (("--class-names", "a,b,c"), "names 3 classes, but the model has 2"),
        (("--target", "7"), "the model has 2 outputs"),
    ],
)
def test_wrong_usage_is_one_line(
    analyze: Call, images: Path, tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    made = analyze(images, *more)
    assert made.code == 2, made
    said = [line for line in made.err.splitlines() if line.startswith("fastcam: ")]
    assert words in said[-1]
    assert not (tmp_path / "out" / "gradcam_heatmaps").exists()


def test_an_empty_folder_and_an_output_among_the_images(
    analyze: Call, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    made = analyze(tmp_path / "empty")
    assert made.code == 2
    assert "is empty" in made.err
    made = analyze(images, "--output-dir", images / "out")
    assert made.code == 2
    assert "lies inside the images' folder" in made.err


def test_an_unreadable_image_costs_itself(analyze: Call, images: Path, tmp_path: Path) -> None:
    (images / "cat" / "broken.png").write_bytes(b"no picture")
    made = analyze(images)
    assert made.code == 3, made
    assert "broken" in (tmp_path / "out" / "failures.csv").read_text(encoding="utf-8")
    assert len(results(tmp_path / "out")["images"]) == 6


def test_stopped_midway_goes_on(
    analyze: Call, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastcam.jobs.analyze import item
    from fastcam.run import queues

    whole_item = item.analyze_item
    calls = []

    def stop(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole_item(*given)

    def run_here(_client: Any, function: Any, items: Any) -> Any:
        for one in items:
            yield one, stop(function.args[0], one)

    with monkeypatch.context() as patched:
        patched.setattr(queues, "run", run_here)
        stopped = analyze(images)
    assert stopped.code == 130, stopped
    assert "run the same command again" in stopped.err
    again = analyze(images, "--json")
    said = json.loads(again.out)
    assert (said["figures_drawn"], said["figures_already_there"]) == (10, 20)


def test_figures_in_another_format(analyze: Call, images: Path, tmp_path: Path) -> None:
    shutil.rmtree(images / "dog")
    made = analyze(images, "--format", "svg")
    assert made.code == 0, made
    out = tmp_path / "out"
    assert not list(out.rglob("*.png"))
    drawn = {path.parent.name for path in out.rglob("*.svg")}
    assert drawn >= {"gradcam_heatmaps", "overlay_images", "layer_comparison", "feature_maps"}
    assert "<text" in next(out.glob("layer_comparison/*.svg")).read_text(encoding="utf-8")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "layers.svg" in page
    assert analyze(images, "--format", "svg").code == 0
    again = analyze(images, "--format", "png")
    assert again.code == 2
    assert "format" in again.err
