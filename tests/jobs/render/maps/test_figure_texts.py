"""What figures of maps say: class names, random weights, where a slice lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastcam.figures.figure_parts import Sheet
from fastcam.jobs.render.gallery import read_gallery
from fastcam.jobs.render.maps.captions import RenderCaptions
from fastcam.jobs.render.maps.job import MapSource
from fastcam.jobs.render.maps.map_task import MapFigures, open_maps
from fastcam.jobs.render.maps.plan import locate_maps
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import Selection, Sources, Style
from fastcam.store.maps import MapStore

from .... import sample_map_stores

Call = Callable[..., Any]


def sheet_of(store: MapStore, sources: Sources | None = None, **look: Any) -> Sheet:
    """The figure of the store's first image."""
    style = Style(panel_size=64, **look)
    request = RenderRequest(
        results=store.path,
        output_dir=store.path.parent / "out",
        sources=sources or Sources(),
        style=style,
        selection=Selection(),
        captions=RenderCaptions(style.class_names, style.classic),
    )
    source = MapSource.of(request, store)
    (case_slices,) = locate_maps(store, [0], None)
    task = source.task()
    figures = MapFigures.of(task, open_maps(task, case_slices))
    heat = figures.case_maps.heat
    return figures.sheet(0 if heat is None else heat.best_slice)[0]


def mark_random(store: MapStore) -> MapStore:
    """The store as that of a model with random weights."""
    path = store.path / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"]["settings"]["random_weights"] = True
    path.write_text(json.dumps(content))
    return MapStore.open(store.path)


def test_classes_have_their_names(tmp_path: Path) -> None:
    store = sample_map_stores.image_store(tmp_path)
    numbers, names = sheet_of(store), sheet_of(store, class_names=("Stable", "Unstable"))
    header = store.headers[0]
    predicted = ("Stable", "Unstable")[int(header.prediction or 0)]
    assert f"predicted {header.prediction}" in numbers.verdict
    assert f"predicted {predicted}" in names.verdict
    assert f"true {('Stable', 'Unstable')[int(header.label)]}" in names.verdict
    captions = [row[1].caption for row in names.rows]
    assert any("target Stable" in text or "target Unstable" in text for text in captions)


@pytest.mark.parametrize("style", ["standard", "classic", "paper"])
def test_random_weights_are_written_on_the_picture(tmp_path: Path, style: str) -> None:
    folders = tmp_path / "trained", tmp_path / "random"
    for folder in folders:
        folder.mkdir()
    trained, random = map(sample_map_stores.image_store, folders)
    assert "andom weights" not in sheet_of(trained, style=style).note
    assert "Random weights" in sheet_of(mark_random(random), style=style).note


def test_random_weights_are_on_the_page(maps: Call, tmp_path: Path) -> None:
    mark_random(sample_map_stores.image_store(tmp_path))
    assert maps().code == 0
    assert "random weights" in read_gallery(tmp_path / "out").title


def test_a_slice_of_a_volume_says_where_it_lies_and_what_is_black_and_white(
    tmp_path: Path,
) -> None:
    store = sample_map_stores.volume_store(tmp_path)
    sheet = sheet_of(store)
    depth = store.headers[0].shape[0]
    assert f" of {depth}" in sheet.title
    image = sheet.rows[0][0]
    assert image.left_side
    assert image.top_side
    assert " mm" in image.caption
    assert " C " in image.caption
    assert image.scale_bar[1].endswith(" mm")
    windowed = sheet_of(store, Sources(window=(40.0, 80.0)))
    assert "C 40 W 80" in windowed.rows[0][0].caption
    assert (windowed.rows[0][0].image != image.image).any()
    classic = sheet_of(store, style="classic")
    assert " of " not in classic.title
    assert classic.rows[0][0].caption == "image"
