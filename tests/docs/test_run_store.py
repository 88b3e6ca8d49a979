"""docs/reference/run-store.md describes what stores hold: its schema, every array and attribute."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastcam.demo.neck_set import SyntheticSet
from fastcam.read.results.results import read_results
from fastcam.store.patches import create_from_results
from fastcam.store.root import SCHEMA_VERSION

TEXT = (Path(__file__).parents[2] / "docs/reference/run-store.md").read_text(encoding="utf-8")


def _arrays(store: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(store.rglob("zarr.json")):
        node = json.loads(file.read_text(encoding="utf-8"))
        if node["node_type"] == "array":
            yield file.parent.relative_to(store).as_posix(), node


def _check(store: Path) -> None:
    attributes = json.loads((store / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    section = TEXT.partition(f"## Kind `{attributes['kind']}`")[2].partition("\n## ")[0]
    for name in attributes:
        assert f"`{name}`" in TEXT, name
    for name, node in _arrays(store):
        folder, _, last = name.rpartition("/")
        if folder.startswith(("maps", "gates")):
            for attribute in node.get("attributes", {}):
                assert f"`{attribute}`" in TEXT, (name, attribute)
            continue
        (line,) = [
            line
            for line in section.splitlines()
            if line.startswith(f"| `{folder}/")
            and re.search(rf"[`/]{last}`", line.partition(" | ")[0])
        ]
        kind = node["data_type"]
        assert ("text" if kind == "string" else kind) in line, name
        axes = line.split(" | ")[1].strip("()").rstrip(",").split(", ")
        assert len(axes) == len(node["shape"]) or any("?" in axis for axis in axes), name


def test_the_schema() -> None:
    assert f"**This page describes schema {SCHEMA_VERSION}.**" in TEXT


def test_patch_attention(neck: SyntheticSet, tmp_path: Path) -> None:
    create_from_results(tmp_path / "run.zarr", read_results(neck.results))
    _check(tmp_path / "run.zarr")


@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_maps(tmp_path: Path) -> None:
    import fastcam

    noise = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    from PIL import Image

    Image.fromarray(noise.integers(0, 255, (16, 16, 3), np.uint8)).save(tmp_path / "images/a.png")
    model = f"{Path(__file__).parents[2] / 'examples' / 'small_cnn.py'}:build"
    report = fastcam.infer(model, tmp_path / "images", tmp_path / "run", image_size=16)
    _check(report.store)
