from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastcam_kernels
import numpy as np
import pytest
from fastcam_kernels._jit import borrowing_kernel, kernel
from numpy.typing import NDArray

PACKAGE = Path(fastcam_kernels.__file__).parent
RUN = """
import sys, numpy as np
for name in ("torch", "zarr", "dask", "fastcam", "PIL", "cv2", "matplotlib", "scipy"):
    sys.modules[name] = None
from fastcam_kernels import boxes, colormap, panel_kernel, grey, heat, label_placement, png
from fastcam_kernels import resize, text
filtered = png.up_filter(np.ones((2, 2, 1), np.uint8)).tolist()
assert filtered == [[2, 1, 1], [2, 0, 0]], filtered
stats = png._up_filter.stats
print(png.__file__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


DRAW = """
import numpy as np
from fastcam_kernels.panel_layers import NO_TEXT
from fastcam_kernels.margins import margins
none = np.zeros((0, 4), np.int32)
canvas = np.zeros((1, 1, 3), np.uint8)
margins(canvas, np.full(3, 9, np.uint8), none, NO_TEXT)
print(*canvas[0, 0])
"""


def run(folder: Path, home: Path, code: str = RUN) -> list[str]:
    """What ``code`` prints in a fresh process that finds the kernels in ``folder``."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NUMBA_", "XDG_", "PYTHON"))
    }
    environment |= {"PYTHONPATH": str(folder), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    shutil.copytree(
        PACKAGE, folder / "fastcam_kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_second_process_compiles_nothing(copy, home):
    file, *hits_and_misses = run(copy, home)
    assert Path(file).is_relative_to(copy)
    assert hits_and_misses == ["0", "1"]
    assert run(copy, home)[1:] == ["1", "0"]
    assert list((copy / "fastcam_kernels" / "__pycache__").glob("png.*.nbc"))


@pytest.mark.slow
def test_a_changed_kernel_is_compiled_anew_into_its_callers_in_other_files(copy, home):
    assert run(copy, home, DRAW) == ["9", "9", "9"]
    boxes = copy / "fastcam_kernels" / "boxes.py"
    text = boxes.read_text()
    assert "pixels[3 * x] = red" in text
    boxes.write_text(text.replace("pixels[3 * x] = red", "pixels[3 * x] = 7"))
    assert run(copy, home, DRAW) == ["7", "9", "9"]


def block_cache(copy: Path) -> None:
    """Make the folder unusable for a cache, for root as well: a file stands in its place."""
    (copy / "fastcam_kernels" / "__pycache__").write_text("")


def test_a_package_that_cannot_be_written_is_cached_for_the_user(copy, home):
    block_cache(copy)
    assert run(copy, home)[1:] == ["0", "1"]
    assert run(copy, home)[1:] == ["1", "0"]
    assert list(home.rglob("png.*.nbc"))


def test_without_any_place_for_a_cache_kernels_still_work(copy, tmp_path):
    block_cache(copy)
    home = tmp_path / "file"
    home.write_text("")
    assert run(copy, home)[1:] == ["0", "1"]
    assert run(copy, home)[1:] == ["0", "1"]


def test_kernels_that_borrow_give_no_arrays_back() -> None:
    """Nobody would count them, and they would be freed while they are in use."""

    def total(values: np.ndarray) -> float:
        return 0.0

    def same(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return values

    def pair(values: NDArray[np.uint8]) -> tuple[int, NDArray[np.uint8]]:
        return 1, values

    borrowing_kernel(total)
    for function in (same, pair):
        with pytest.raises(TypeError, match="may hold arrays"):
            borrowing_kernel(function)


def test_a_kernel_that_makes_arrays_may_be_called_by_one_that_borrows() -> None:
    @kernel
    def doubled(values: NDArray[np.int64]) -> NDArray[np.int64]:
        copied = np.empty(len(values), np.int64)
        for i in range(len(values)):
            copied[i] = 2 * values[i]
        return copied

    @kernel
    def of_doubled(values: NDArray[np.int64]) -> int:
        return doubled(values)[0]

    @borrowing_kernel
    def first(values: NDArray[np.int64]) -> int:
        return of_doubled(values)

    assert first(np.arange(3, 9)) == 6
