from __future__ import annotations

import threading
import uuid
from functools import partial
from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastcam.errors import CaseError, OutputError
from fastcam.figures import png_writer
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.figure_pixels import draw
from fastcam.figures.png_writer import WriteBatch, write_picture, write_sheet
from fastcam.figures.render_style import render_style_of
from fastcam.options import Style
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath


def ramp(height: int, width: int) -> np.ndarray:
    """Smooth colors, none of which is another with red and blue exchanged."""
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[..., 0] = np.linspace(0, 250, width)
    canvas[..., 1] = np.linspace(0, 120, height)[:, None]
    canvas[..., 2] = 30
    return canvas


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 80), width=st.integers(1, 80), seed=st.integers(0, 99))
def test_a_png_is_the_canvas_in_pillow_and_opencv(tmp_path_factory, height, width, seed):
    canvas = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("png") / "a.png"
    write_picture(path, canvas, "png")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), canvas)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], canvas)


@pytest.mark.parametrize(("kind", "format"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_other_formats_are_close_to_it(tmp_path, kind, format):
    canvas = ramp(100, 200)
    path = tmp_path / f"a.{kind}"
    write_picture(path, canvas, kind)
    with Image.open(path) as picture:
        assert picture.format == format
        off = np.abs(np.asarray(picture.convert("RGB")).astype(int) - canvas)
    assert off.mean() < 3
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_jpg_keeps_the_color_of_single_lines(tmp_path):
    canvas = np.full((64, 64, 3), 60, np.uint8)
    canvas[:, 31] = (255, 255, 0)
    write_picture(tmp_path / "a.jpg", canvas, "jpg")
    line = np.asarray(Image.open(tmp_path / "a.jpg"))[:, 31].astype(int).mean(axis=0)
    assert line[0] > 220
    assert line[1] > 220
    assert line[2] < 60


@pytest.mark.parametrize(("kind", "side"), [("webp", 16384), ("jpg", 65536)])
def test_a_picture_too_large_for_its_format_costs_only_itself(tmp_path, kind, side):
    canvas = np.zeros((1, side, 3), np.uint8)
    with pytest.raises(CaseError, match=f"{side}x1 pixels are too large for {kind}.*png"):
        write_picture(tmp_path / f"a.{kind}", canvas, kind)
    assert not list(tmp_path.iterdir())
    write_picture(tmp_path / "a.png", canvas, "png")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_sheet_is_written_as_it_is_drawn(tmp_path, kind):
    render_style = render_style_of(Style(), "", (), 100)
    buffers = Buffers()
    for size in (100, 40, 70):  # buffers are used again, larger and smaller
        panel = Panel("slice", size, size, image=ramp(size, size))
        sheet = Sheet("title", "verdict", (0, 120, 0), ((panel,),))
        path = tmp_path / f"a.{kind}"
        write_sheet(path, sheet, render_style, kind, buffers)
        found = np.asarray(Image.open(path).convert("RGB")).astype(int)
        off = np.abs(found - draw(sheet, render_style.lettering, render_style.palette))
        assert off.max() == 0 if kind == "png" else off.mean() < 4


@pytest.fixture(params=["disk", "bucket"])
def folder(request, tmp_path):
    """Where figures are written one by one, and where several are put side by side."""
    if request.param == "disk":
        return tmp_path
    return as_path(f"memory://{tmp_path.name}-{uuid.uuid4().hex}")


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_batch_writes_every_figure_once_and_in_order(folder, kind):
    at_once = 1 if isinstance(folder, ObjectPath) and kind == "png" else 0
    render_style = render_style_of(Style(), "", (), 100)
    done: dict[int, int] = {}
    batch = WriteBatch([Buffers(), Buffers(), Buffers()])
    sheets = {}
    for number in range(7):
        panel = Panel("slice", 60, 60, image=ramp(60, 60) // (number + 1))
        sheets[number] = Sheet(f"slice {number}", "right", (0, 120, 0), ((panel,),))
        path = folder / f"{number}.{kind}"
        batch.put(path, sheets[number], render_style, kind, partial(done.__setitem__, number))
        written = {int(file.stem) for file in folder.iterdir()} if folder.is_dir() else set()
        assert written == set(done)
        assert list(done) == list(range(len(done)))
        assert number + 1 - len(done) <= 2 * at_once
    assert len(done) == (6 if at_once else 7)
    batch.finish()
    batch.finish()
    assert list(done) == list(range(7))
    for number, sheet in sheets.items():
        assert done[number] == (folder / f"{number}.{kind}").stat().st_size
        found = np.asarray(
            Image.open(BytesIO((folder / f"{number}.{kind}").read_bytes())).convert("RGB")
        ).astype(int)
        off = np.abs(found - draw(sheet, render_style.lettering, render_style.palette))
        assert off.max() == 0 if kind == "png" else off.mean() < 4


@pytest.mark.parametrize("count", [1, 4, 7])
def test_what_is_written_behind_is_drawn_over_by_nobody(folder, monkeypatch, count):
    batch_size = 2 if isinstance(folder, ObjectPath) else 1
    render_style = render_style_of(Style(), "", (), 100)
    writing, threads = threading.Event(), set()
    compress = png_writer.png_pieces

    def slow_pieces(rows, dpi):
        threads.add(threading.get_ident())
        writing.wait(0.05)  # meanwhile the next figures are drawn
        return compress(rows, dpi)

    monkeypatch.setattr(png_writer, "png_pieces", slow_pieces)
    done: dict[int, int] = {}
    sheets = {}
    with WriteBatch([Buffers() for _ in range(4)], behind=True) as batch:
        for number in range(count):
            panel = Panel("slice", 60, 60, image=ramp(60, 60) // (number + 1))
            sheets[number] = Sheet(f"slice {number}", "right", (0, 120, 0), ((panel,),))
            path = folder / f"{number}.png"
            batch.put(path, sheets[number], render_style, "png", partial(done.__setitem__, number))
            assert list(done) == list(range(len(done)))
            assert number + 1 - len(done) <= 4
        batch.finish()
    assert list(done) == list(range(count))
    # What is written last is written here: nothing is drawn meanwhile.
    assert threads - {threading.get_ident()} if count > batch_size else len(threads) == 1
    assert threading.get_ident() in threads
    for number, sheet in sheets.items():
        assert done[number] == (folder / f"{number}.png").stat().st_size
        found = np.asarray(Image.open(BytesIO((folder / f"{number}.png").read_bytes())))
        drawn = draw(sheet, render_style.lettering, render_style.palette)
        np.testing.assert_array_equal(found, drawn)


def test_what_cannot_be_written_behind_ends_the_batch(tmp_path):
    render_style = render_style_of(Style(), "", (), 100)
    sheet = Sheet("a", "b", (0, 0, 0), ((Panel("slice", 60, 60, image=ramp(60, 60)),),))
    done: list[int] = []
    with WriteBatch([Buffers(), Buffers()], behind=True) as batch:
        batch.put(tmp_path / "missing" / "a.png", sheet, render_style, "png", done.append)
        batch.put(tmp_path / "b.png", sheet, render_style, "png", done.append)
        with pytest.raises(OutputError, match="missing"):
            batch.put(tmp_path / "c.png", sheet, render_style, "png", done.append)
    assert not done


def test_large_figures_wait_for_nobody(folder):
    render_style = render_style_of(Style(), "", (), 100)
    batch = WriteBatch([Buffers(), Buffers()])
    panel = Panel("slice", 3000, 2000, image=ramp(60, 60))  # 18 MiB
    batch.put(
        folder / "a.png",
        Sheet("a", "b", (0, 0, 0), ((panel,),)),
        render_style,
        "png",
        lambda _: None,
    )
    assert (folder / "a.png").is_file()


def test_a_file_that_cannot_be_written_ends_a_batch(tmp_path):
    render_style = render_style_of(Style(), "", (), 100)
    done: list[int] = []
    batch = WriteBatch([Buffers()] * 3)
    sheet = Sheet("a", "b", (0, 0, 0), ((Panel("slice", 60, 60, image=ramp(60, 60)),),))
    batch.put(tmp_path / "a.png", sheet, render_style, "png", done.append)
    with pytest.raises(OutputError, match="missing"):
        batch.put(tmp_path / "missing/b.png", sheet, render_style, "png", done.append)
    assert len(done) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
