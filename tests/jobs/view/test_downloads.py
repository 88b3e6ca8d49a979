"""Files that are taken out of the room: text is text, and the raster inside is the picture."""

from __future__ import annotations

import base64
import io
import json
import re
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.view.downloads import page_file, picture_file, report_file
from fastcam.jobs.view.request import Judging
from fastcam.jobs.view.room import Room
from tests.jobs.view.sample_rooms import map_room, patch_request

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def room(tmp_path) -> Room:
    return Room(patch_request(tmp_path))


def texts_and_images(content: bytes) -> tuple[set[str], list[np.ndarray]]:
    tree = ElementTree.fromstring(content)
    texts = {"".join(node.itertext()) for node in tree.iter(f"{SVG}text")}
    links = [node.attrib["{http://www.w3.org/1999/xlink}href"] for node in tree.iter(f"{SVG}image")]
    files = [io.BytesIO(base64.b64decode(text.partition(",")[2])) for text in links]
    return texts, [np.asarray(Image.open(file).convert("RGB")) for file in files]


def test_svg_has_texts_and_the_pixels_of_the_picture(room) -> None:
    query = {"slice": "3", "dpi": "72"}
    content = page_file(room, [{**query, "top": "2"}, {**query, "kind": "image"}], "svg")
    texts, _ = texts_and_images(content)
    assert "p0  ·  axial slice 3 of 7" in texts
    labels = [text for text in texts if text.endswith(("0.5000", "0.3000"))]
    assert len(labels) == 2  # the weights at the boxes
    # What figures say of it: the scale, the sides, millimeters.
    assert any("color scale: per patient" in text for text in texts)
    assert {"A", "R", "0", "0.5000"} <= {text.rpartition(" ")[2] for text in texts}
    assert any(text.endswith(" mm") for text in texts)
    (width,) = re.findall(r'width="([\d.]+)pt"', content.decode())
    assert float(width) == pytest.approx(180 / 25.4 * 72, abs=0.1)
    _, images = texts_and_images(page_file(room, [{**query, "top": "0"}], "svg"))
    request = room.request
    expected = fastcam.picture(
        request.runs[0], "p0", slice=3, root_dir=request.sources.root_dir, top_k=0,
        panel_size=512, window=None,
    )  # fmt: skip
    assert (images[0] == expected.pixels).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_png_is_as_large_as_was_asked_for_and_has_the_shape_in_the_body(room, axis) -> None:
    """The sample's voxels are boxes; the pixels are those of the line of Python."""
    index = {0: 3, 1: 5, 2: 9}[axis]
    query = {"slice": f"{index}", "axis": f"{axis}"}
    spacing = [length for place, length in enumerate((3.0, 0.75, 1.5)) if place != axis]
    voxels = [count for place, count in enumerate((7, 16, 20)) if place != axis]
    down, across = np.multiply(spacing, voxels)
    for size in (32, 300, 1024):
        with Image.open(io.BytesIO(picture_file(room, {**query, "size": f"{size}"}))) as picture:
            assert max(picture.size) == size
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            width, height = picture.size
            if size > 32:
                assert width / height == pytest.approx(across / down, rel=0.02)
                drawn = np.asarray(picture.convert("RGB"))
                expected = fastcam.picture(
                    room.request.runs[0], "p0", slice=index, axis=axis, panel_size=size,
                    root_dir=room.request.sources.root_dir,
                )  # fmt: skip
                assert (drawn == expected.pixels).all()


def test_place_and_window_are_whole_on_a_page_of_an_overlay_alone(room) -> None:
    query = {"slice": "3", "dpi": "72", "width": "60"}
    texts, _ = texts_and_images(page_file(room, [query], "svg"))
    window = next(text for text in texts if re.search(r"C -?\d+ W \d+", text))
    assert "…" not in "".join(texts)
    both = page_file(room, [query, {**query, "kind": "image"}], "svg")
    texts, _ = texts_and_images(both)
    assert sum("W " in text for text in texts) == 1  # above the image
    assert re.search(r"W \d+", window)[0] in " ".join(texts)


def test_a_page_has_the_pixels_and_the_letters_that_paper_asks_for(room) -> None:
    query = {"slice": "3", "width": "85", "dpi": "200", "size": "64"}
    content = page_file(room, [query, {**query, "kind": "heat"}], "svg")
    _, images = texts_and_images(content)
    assert max(images[0].shape) >= 85 / 25.4 * 200 / 2
    sizes = [
        float(size)
        for size in re.findall(r"font(?:-size)?: ?(?:[\w.]+ )*?([\d.]+)px", content.decode())
    ]
    assert min(sizes) >= 7 - 0.01


def test_random_weights_are_said_on_every_page(tmp_path) -> None:
    room = map_room(tmp_path)
    attrs = json.loads((room.runs[0].path / "zarr.json").read_text())
    attrs["attributes"]["settings"]["random_weights"] = True
    (room.runs[0].path / "zarr.json").write_text(json.dumps(attrs))
    room = Room(room.request)
    texts, _ = texts_and_images(page_file(room, [{"dpi": "72"}], "svg"))
    assert any("Random weights" in text for text in texts)
    texts, _ = texts_and_images(page_file(room, [{"dpi": "72", "kind": "image"}], "svg"))
    assert not any("Random weights" in text for text in texts)
    assert room.picture({}).notes[0].startswith("Random weights")


def test_a_blind_page_tells_nothing(tmp_path) -> None:
    room = Room(patch_request(tmp_path, judging=Judging(blind=True)))
    texts, _ = texts_and_images(page_file(room, [{"slice": "3", "dpi": "72"}], "svg"))
    assert "p0  ·  axial slice 3 of 7" in texts
    for word in ("correct", "wrong", "true", "predicted", "confidence"):
        assert not any(word in text for text in texts)


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
    with pytest.raises(InputError, match="too narrow for 6"):
        page_file(room, [{"slice": "3", "width": "30", "dpi": "72"}] * 6, "pdf")
    with pytest.raises(InputError, match="no picture"):
        page_file(room, [], "svg")
    with pytest.raises(InputError, match="at most 12"):
        page_file(room, [{"slice": "3"}] * 13, "svg")
