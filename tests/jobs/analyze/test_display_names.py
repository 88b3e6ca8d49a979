"""Names of files: never two alike, never too long."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.jobs.analyze.display_names import class_folder, class_names, naming_of, output_name
from fastcam.store.map_schema import MapHeader

from ...store.sample_maps import new_store

NAMES = st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=8, unique=True)


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> MapHeader:
    return new_store(tmp_path_factory.mktemp("store"), 1).headers[0]


def headers(header: MapHeader, ids: list[str], **changes: Any) -> list[MapHeader]:
    return [dataclasses.replace(header, id=name, **changes) for name in ids]


@given(ids=NAMES, layers=NAMES, output=st.text(max_size=300))
def test_files_are_distinct_and_possible(
    header: MapHeader, ids: list[str], layers: list[str], output: str
) -> None:
    known = headers(header, ids, prediction=0, output=np.zeros(2, np.float32))
    naming = naming_of(known, layers, (output,))
    paths = [
        make(image, layer)
        for image in range(len(ids))
        for layer in range(len(layers))
        for make in (naming.heatmap, naming.overlay)
    ]
    assert len({path.casefold() for path in paths}) == len(paths)
    for path in paths:
        assert path.count("/") == 1
        assert len(Path(path).name.encode()) <= 255


def test_as_the_issue_spells_them(header: MapHeader) -> None:
    known = headers(
        header,
        ["a/1", "a_1", "A_1"],
        prediction=1,
        output=np.zeros(2, np.float32),
        targets=np.array([0]),
    )
    naming = naming_of(known, ["layer4.1.conv2"], ("cat", "dog"))
    assert naming.heatmap(0, 0) == "gradcam_heatmaps/a_1_layer4.1.conv2_cat_heatmap.png"
    assert naming.overlay(0, 0) == "overlay_images/a_1_layer4.1.conv2_cat_overlay.png"
    assert naming.layer_figure(0) == "layer_comparison/a_1_layers.png"
    assert naming.images == ("a_1", "a_1-2", "A_1-3")
    names = [output_name(("cat", "dog"), index) for index in (1, 7, None)]
    assert names == ["dog", "7", "value"]


def test_class_names_are_the_folders_in_order_where_they_fit(header: MapHeader) -> None:
    known = headers(header, ["1"], group="dog/x") + headers(header, ["2"], group="cat")
    assert [class_folder(one) for one in known] == ["dog", "cat"]
    assert class_names(known, 2, ()) == ("cat", "dog")
    assert class_names(known, 3, ()) == ()
    assert class_names(known, 2, ("x", "y")) == ("x", "y")
    with pytest.raises(InputError, match="names 1 classes, but the model has 2"):
        class_names(known, 2, ("x",))
