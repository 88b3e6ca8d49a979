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
    """Write ``support/<class>/<number>.png`` and ``query/<number>_<class>.png``, where a class is
    called like ``red_disc``; the paths. OutputError where a file can't be written."""
    support, query = episode.support, episode.query
    paths = []
    for index, image in enumerate(support.images):
        path = folder / "support" / kind_name(int(support.kinds[index, 0])) / f"{index + 1}.png"
        paths.append(_write(path, image))
    for index, image in enumerate(query.images):
        name = f"{index + 1:02d}_{kind_name(int(query.kinds[index, 0]))}.png"
        paths.append(_write(folder / "query" / name, image))
    return paths


def kind_name(index: int) -> str:
    """The kind of this index in ``KINDS``, in words.

    >>> kind_name(0)
    'red_disc'
    """
    shape, colour = KINDS[index]
    return f"{COLOUR_NAMES[colour]}_{SHAPES[shape]}"


def _write(path: Path, image: NDArray[np.float32]) -> Path:
    make_folder(path.parent)
    encoded = io.BytesIO()
    pixels = np.rint(np.moveaxis(image, 0, 2) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(encoded, "PNG")
    write_bytes(path, [encoded.getvalue()])
    return path
