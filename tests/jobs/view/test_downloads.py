"""Files that are taken out of the room: text is text, and the raster inside is the picture."""

from __future__ import annotations

import base64
import io
import re
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from fastcam.errors import InputError
from fastcam.jobs.view.downloads import page_file, report_file
from fastcam.jobs.view.room import Room
from tests.jobs.view.sample_rooms import patch_request

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def room(tmp_path) -> Room:
    return Room(patch_request(tmp_path))


def test_svg_has_texts_boxes_and_the_pixels_of_the_picture(room) -> None:
    query = {"slice": "3", "size": "128", "top": "2"}
    tree = ElementTree.fromstring(page_file(room, [query, {**query, "kind": "image"}], "svg"))
    texts = {"".join(node.itertext()) for node in tree.iter(f"{SVG}text")}
    assert {"p0  ·  axial slice 3", "attention, overlay", "attention, image"} & texts
    assert "p0  ·  axial slice 3" in texts
    labels = [text for text in texts if text.endswith(("0.5000", "0.3000"))]
    assert len(labels) == 2  # the weights at the boxes
    (width,) = re.findall(r"([\d.]+)pt", tree.attrib["width"])
    assert float(width) == pytest.approx(180 / 25.4 * 72, abs=0.1)
    images = [
        node.attrib["{http://www.w3.org/1999/xlink}href"] for node in tree.iter(f"{SVG}image")
    ]
    files = [io.BytesIO(base64.b64decode(text.partition(",")[2])) for text in images]
    decoded = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    plain = np.asarray(room.picture({**query, "top": "0"}).pixels)
    colors = {tuple(color) for color in plain.reshape(-1, 3).tolist()}
    overlay = {tuple(color) for color in decoded[0].reshape(-1, 3).tolist()}
    assert len(overlay & colors) > 0.9 * len(colors)


def test_pdf_has_fonts_of_type_42(room) -> None:
    content = page_file(room, [{"slice": "3", "width": "85", "dpi": "150"}], "pdf")
    assert content.startswith(b"%PDF")
    assert b"/FontFile2" in content  # TrueType, as it is
    assert b"/Type3" not in content
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", content)
    assert float(box[1]) == pytest.approx(85 / 25.4 * 72, abs=0.1)


def test_files_are_the_same_each_time(room) -> None:
    for kind in ("pdf", "svg"):
        query = [{"slice": "3", "size": "64"}]
        assert page_file(room, query, kind) == page_file(room, query, kind)


def test_a_report_has_a_page_for_each_case(room) -> None:
    content = report_file(room, [0, 2], {"size": "64", "dpi": "72"})
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    assert any(b"Tj" in text or b"TJ" in text for text in map(inflated, streams))


def inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_a_case_that_cannot_be_opened_has_a_page_that_says_so(tmp_path) -> None:
    room = Room(patch_request(tmp_path))
    (tmp_path / "images" / "p1.nii.gz").unlink()
    content = report_file(room, [0, 1], {"size": "64", "dpi": "72"})
    assert len(re.findall(rb"/Type /Page\b", content)) == 2


@pytest.mark.parametrize(
    "query", [{"width": "1"}, {"width": "x"}, {"dpi": "1e9"}, {"width": "20", "dpi": "nan"}]
)
def test_what_is_no_page_is_said(room, query) -> None:
    with pytest.raises(InputError):
        page_file(room, [{"slice": "3", **query}], "pdf")
    with pytest.raises(InputError, match="too narrow"):
        page_file(room, [{"slice": "3", "width": "25"}] * 3, "pdf")
    with pytest.raises(InputError, match="no picture"):
        page_file(room, [], "svg")
