"""Opening a room in its own process: what is loaded, and that garbage is collected again."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from fastcam.errors import FastcamError
from fastcam.figures import warmup
from fastcam.jobs.view.opening import open_room
from tests.jobs.view.sample_rooms import patch_request


def _end_of_preparation() -> None:
    for thread in threading.enumerate():
        if thread.name.endswith("(_prepare)"):
            thread.join(60)


def test_garbage_is_collected_once_the_room_is_open(tmp_path) -> None:
    open_room(patch_request(tmp_path), print)
    _end_of_preparation()
    assert gc.isenabled()


def test_that_kernels_are_compiled_is_said(tmp_path, monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(warmup, "needed", lambda: True)
    open_room(patch_request(tmp_path), said.append)
    _end_of_preparation()
    assert said == ["first run: compiling the kernels, once for this installation"]


def test_garbage_is_collected_where_no_room_opens(tmp_path) -> None:
    request = patch_request(tmp_path)
    (request.runs[0] / "zarr.json").write_text("{")
    with pytest.raises(FastcamError, match=r"zarr"):
        open_room(request, print)
    assert gc.isenabled()


_KERNEL_ALONE = """
import sys
import numpy as np
from numba import njit
from fastcam_kernels import png
from fastcam_kernels._jit import without_blas
from numba.np import linalg
before = linalg.ensure_blas
with without_blas():
    rows = png.up_filter(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
assert linalg.ensure_blas is before
assert "scipy.linalg" not in sys.modules
print(np.asarray(rows).tolist())
"""


def test_a_kernel_is_loaded_without_blas() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KERNEL_ALONE], capture_output=True, text=True, check=False
    )
    # Rows of Up: a filter byte of 2, and the difference from the row above.
    assert done.stdout == "[[2, 0, 1, 2, 3, 4, 5], [2, 6, 6, 6, 6, 6, 6]]\n", done.stderr
