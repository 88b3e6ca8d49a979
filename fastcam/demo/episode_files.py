"""An episode as pictures on disk, to be looked at with ``fastcam explain``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastcam.demo.episodes import KINDS, SHAPES, Episode
from fastcam.run.files import make_folder, write_bytes

COLOUR_NAMES = ("red", "green", "blue", "yellow", "magenta", "cyan", "orange", "white")


def write_episode(folder: Path, episode: Episode) -> list[Path]:
    """Write ``support/<class>/<place>.png`` and ``query/<place>_<class>.png``, where a class is
    called like ``red_disc``; the paths. OutputError where a file can't be written."""
    support, query = episode.support, episode.query
    written = []
    for place, image in enumerate(support.images):
        path = folder / "support" / kind_name(int(support.kinds[place, 0])) / f"{place + 1}.png"
        written.append(_write(path, image))
    for place, image in enumerate(query.images):
        name = f"{place + 1:02d}_{kind_name(int(query.kinds[place, 0]))}.png"
        written.append(_write(folder / "query" / name, image))
    return written


def kind_name(place: int) -> str:
    """The kind at this place of ``KINDS`` in words.

    >>> kind_name(0)
    'red_disc'
    """
    shape, colour = KINDS[place]
    return f"{COLOUR_NAMES[colour]}_{SHAPES[shape]}"


def _write(path: Path, image: NDArray[np.float32]) -> Path:
    make_folder(path.parent)
    packed = io.BytesIO()
    pixels = np.rint(np.moveaxis(image, 0, 2) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(packed, "PNG")
    write_bytes(path, [packed.getvalue()])
    return path
