"""A figure to a file: PNG the fast way, other pictures through Pillow, pages by matplotlib."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from fastcam_kernels import png
from isal import isal_zlib
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.figure_pixels import draw, draw_rows
from fastcam.figures.paper import on_paper
from fastcam.figures.render_style import RenderStyle
from fastcam.figures.vector_file import vector_picture, vector_sheet
from fastcam.options import USUAL_DPI, PictureFormat
from fastcam.run.files import write_bytes, write_files
from fastcam.storage.object_path import ObjectPath

WRITE_BATCH = 8  # figures of a batch that is put into a bucket
# Figures on a disk that wait for the thread that writes them. One worker on two cores takes 8.2 s
# for 3,000 with two or four, 8.6 with one.
_WAITING = 2
_BATCH_BYTES = 32 << 20
_JPEG_QUALITY = 92
_WEBP_QUALITY = 92
_LARGEST = {"jpg": 65535, "webp": 16383, "png": 2**31 - 1}


def write_sheet(
    path: Path,
    sheet: Sheet,
    render_style: RenderStyle,
    kind: PictureFormat,
    buffers: Buffers,
) -> int:
    """Draw a figure and write it as a whole file or not at all; its size in bytes."""
    sheet, render_style, dpi = on_paper(sheet, render_style)
    if kind == "pdf" or kind == "svg":
        return write_bytes(path, [vector_sheet(sheet, render_style, kind, dpi or USUAL_DPI)])
    if kind == "png":
        rows = draw_rows(sheet, render_style.lettering, render_style.palette, buffers)
        return write_bytes(path, png_pieces(rows, dpi))
    canvas = draw(sheet, render_style.lettering, render_style.palette)
    return write_picture(path, canvas, kind, dpi)


class _Drawn(NamedTuple):
    """A figure that is drawn and not written yet."""

    path: Path
    rows: NDArray[np.uint8]
    dpi: float | None
    on_written: Callable[[int], None]
    buffers: Buffers


class WriteBatch:
    """Figures that are drawn one after the other, encoded and written; a context manager.

    On a disk each is written before the next is drawn: its rows are still in the caches, and drawn
    over there. Eight at a time are 27 MiB, and with two workers beside each other a figure of four
    512-pixel panels then takes 8 % longer, with one 5 % (benchmarks/bench_job.py --bind). Into a
    bucket eight are put side by side, as each put waits for an answer; fewer large figures, so that
    a batch stays below 32 MiB. ``buffers``, one set for each figure of a batch, are kept from batch
    to batch.

    ``behind``: figures are encoded and written by a thread of its own while the next ones are
    drawn, at most two on a disk, half a batch into a bucket. Deflate, 1.3 ms of a figure's 2.8, and
    the disk don't hold the GIL.
    """

    def __init__(self, buffers: Sequence[Buffers], behind: bool = False) -> None:
        self._thread = ThreadPoolExecutor(1) if behind and len(buffers) > 1 else None
        parts = 1 if self._thread is None else 2
        self._size, self._bytes = len(buffers) // parts, _BATCH_BYTES // parts
        # What was written last is taken first.
        self._free = list(buffers)
        self._pending: list[_Drawn] = []
        self._behind: deque[tuple[list[_Drawn], Future[list[int]]]] = deque()

    def __enter__(self) -> WriteBatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the thread: nobody may draw over what it encodes."""
        if self._thread is not None:
            self._thread.shutdown()

    def put(
        self,
        path: Path,
        sheet: Sheet,
        render_style: RenderStyle,
        kind: PictureFormat,
        on_written: Callable[[int], None],
    ) -> None:
        """Draw a figure; it is written at the latest by :meth:`finish`, then ``on_written`` is told
        its size in bytes."""
        if kind != "png":
            on_written(write_sheet(path, sheet, render_style, kind, self._free[-1]))
            return
        sheet, render_style, dpi = on_paper(sheet, render_style)
        if self._thread is not None and self._is_full():
            self._hand_over(self._thread)
        buffers = self._free[-1]
        rows = draw_rows(sheet, render_style.lettering, render_style.palette, buffers)
        self._free.pop()
        self._pending.append(_Drawn(path, rows, dpi, on_written, buffers))
        if self._thread is None and self._is_full():
            self.finish()

    def _is_full(self) -> bool:
        if not self._pending:
            return False
        figure = self._pending[-1]
        together = self._size if isinstance(figure.path, ObjectPath) else 1
        return len(self._pending) >= min(together, self._bytes // figure.rows.nbytes)

    def _hand_over(self, thread: ThreadPoolExecutor) -> None:
        """Let the thread write what is drawn, once it has room for it. What is drawn last is not
        handed over: nothing would be drawn meanwhile."""
        while self._behind and not self._has_room():
            self._wait()
        context = copy_context()
        self._behind.append((self._pending, thread.submit(context.run, _sizes, self._pending)))
        self._pending = []

    def _has_room(self) -> bool:
        waiting = [*self._pending, *(figure for figures, _ in self._behind for figure in figures)]
        size = sum(figure.rows.nbytes for figure in waiting)
        far = isinstance(waiting[0].path, ObjectPath)
        most = self._size if far else min(self._size, _WAITING)
        return len(waiting) <= most and size <= self._bytes

    def finish(self) -> None:
        """Encode and write what is left, each figure as a whole file or not at all."""
        while self._behind:
            self._wait()
        pending, self._pending = self._pending, []
        for figure, size in zip(pending, _written(pending), strict=True):
            self._free.append(figure.buffers)
            figure.on_written(size)

    def _wait(self) -> None:
        """Wait for what was handed over first, and tell the sizes of its files."""
        figures, sizes = self._behind.popleft()
        for figure, size in zip(figures, sizes.result(), strict=True):
            self._free.append(figure.buffers)
            figure.on_written(size)


def _written(figures: Sequence[_Drawn]) -> Iterator[int]:
    """Encode figures, then write them; the size of each file, as soon as it is there."""
    files = [(figure.path, png_pieces(figure.rows, figure.dpi)) for figure in figures]
    return write_files(files)


def _sizes(figures: Sequence[_Drawn]) -> list[int]:
    return list(_written(figures))


def write_picture(
    path: Path, canvas: NDArray[np.uint8], kind: PictureFormat, dpi: float | None = None
) -> int:
    """Write a canvas (h, w, 3) uint8 RGB as a whole file or not at all; ``dpi`` stands in it. Its
    size in bytes.

    Raises ``CaseError`` for a canvas that is larger than the format allows.
    """
    height, width, _ = canvas.shape
    if kind == "pdf" or kind == "svg":
        return write_bytes(path, [vector_picture(canvas, kind, dpi or USUAL_DPI)])
    if max(height, width) > _LARGEST[kind]:
        raise CaseError(
            f"{path}: {width}x{height} pixels are too large for {kind}; use --format png"
        )
    if kind == "png":
        return write_bytes(path, png_pieces(png.up_filter(canvas), dpi))
    return write_bytes(path, [_by_pillow(canvas, kind, dpi)])


def png_pieces(rows: NDArray[np.uint8], dpi: float | None = None) -> list[bytes]:
    """Filtered RGB rows (h, 1 + 3 * w) uint8 as the pieces of a PNG file.

    Deflate by ISA-L at level 1, which releases the GIL: with the Up filter 3 to 5 ms for four
    512-pixel panels where Pillow takes 45 to 140 (benchmarks/bench_render.py).
    """
    height, length = rows.shape
    deflated = isal_zlib.compress(rows, level=1)
    return png.assemble(length // 3, height, 3, deflated, crc32=isal_zlib.crc32, dpi=dpi)


def _by_pillow(canvas: NDArray[np.uint8], kind: PictureFormat, dpi: float | None) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(canvas)
    if kind == "jpg":
        # 4:4:4: at 4:2:0 the one-pixel yellow lines smear into the heat.
        density = {} if dpi is None else {"dpi": (round(dpi), round(dpi))}
        picture.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0, **density)
    else:
        exif = {} if dpi is None else {"exif": _resolution(dpi)}
        picture.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=2, **exif)
    return buffer.getvalue()


def _resolution(dpi: float) -> bytes:
    """The EXIF tags of a picture's resolution; WebP has no other place for it."""
    from PIL import Image

    exif = Image.Exif()
    horizontal, vertical, unit, inch = 282, 283, 296, 2
    exif[horizontal] = exif[vertical] = dpi
    exif[unit] = inch
    return exif.tobytes()
