"""Opening a room in a process that does nothing else: what draws is loaded beside the runs."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

from fastcam_kernels._jit import without_blas

from fastcam.figures import warmup
from fastcam.jobs.view.page_server import App
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.server import api_of


def open_room(request: ViewRequest, note: Callable[[str], None]) -> App:
    """The application of a room, while the kernels are loaded and its first case is opened.

    ``note`` is told what takes long. Garbage is collected from then on: what is made on the way
    stays.
    """
    gc.disable()
    try:
        if warmup.needed():
            note(warmup.NOTE)
        loading = threading.Thread(target=_load_kernels, daemon=True)
        loading.start()
        room = Room(request)
    except BaseException:
        gc.enable()
        raise
    threading.Thread(target=_prepare, args=(room, loading), daemon=True).start()
    return api_of(room)


def _load_kernels() -> None:
    with without_blas():
        warmup.warm_up()


def _prepare(room: Room, loading: threading.Thread) -> None:
    try:
        room.prepare()
        loading.join()
    finally:
        gc.freeze()
        gc.enable()
