from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from fastcam_kernels.colormap import names, table


def test_jet_is_opencvs_entry_by_entry():
    for level in range(256):
        bgr = cv2.applyColorMap(np.full((1, 1), level, np.uint8), cv2.COLORMAP_JET)[0, 0]
        assert table("jet")[level].tolist() == bgr[::-1].tolist()


@pytest.mark.parametrize(
    "name", ["viridis", "turbo", "inferno", "magma", "cividis", "coolwarm", "gray"]
)
def test_the_others_are_matplotlibs_entry_by_entry(name):
    for level in range(256):
        red, green, blue, _ = matplotlib.colormaps[name](level, bytes=True)
        assert table(name)[level].tolist() == [red, green, blue]


def test_there_are_eight_and_they_cannot_be_changed():
    assert names() == ["jet", "viridis", "turbo", "inferno", "magma", "cividis", "coolwarm", "gray"]
    with pytest.raises(ValueError, match="read-only"):
        table("jet")[0] = 0


def test_the_stored_module_is_what_its_script_writes():
    path = Path(__file__).with_name("make_tables.py")
    spec = importlib.util.spec_from_file_location("make_tables", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.TARGET.read_text() == script.module()


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'jett' is unknown.*jet, viridis"):
        table("jett")
