from __future__ import annotations

import os
from typing import Any
from xml.etree import ElementTree

import fastcam
from fastcam.api.keyword_types import check_types
from fastcam.api.view_request import view_request
from tests.sample_map_stores import image_store
from tests.sample_runs import make_case, make_store


def cells(store) -> dict[str, str]:
    tree = ElementTree.fromstring(f"<div>{store._repr_html_()}</div>")
    return {row.findtext("th", ""): row.findtext("td", "") for row in tree.iter("tr")}


def test_a_store_of_patches_in_a_notebook(tmp_path) -> None:
    store = make_store(tmp_path, make_case(1, "a", [0, 1]), make_case(2, "b", [0]))
    table = cells(store)
    assert table["cases"] == "2"
    assert table["patches"] == "3"
    assert table["right"] == "2 of 2"
    assert table["where"] == str(store.path)


def test_a_store_of_maps_in_a_notebook(tmp_path) -> None:
    folder = tmp_path / "<b>"
    folder.mkdir()
    table = cells(image_store(folder))
    assert table["images"] == "3"
    assert table["model"] == "resnet18"
    assert "gradcam/layer3 (6, 6)" in table["maps"]
    assert "<b>" in table["where"]  # as text
    assert "weights" not in table


def test_random_weights_are_said(tmp_path) -> None:
    store = image_store(tmp_path)
    store.attrs.settings["random_weights"] = True
    assert cells(store)["weights"] == "random: the maps mean nothing"


def test_an_open_store_will_do_for_its_path(tmp_path) -> None:
    store = make_store(tmp_path, make_case(1, "a", [0]))
    assert os.fspath(store) == str(store.path)
    assert view_request(store, root_dir=tmp_path).runs == (store.path,)
    view: Any = fastcam.view
    check_types(view.__wrapped__, (store,), {}, view_request)
