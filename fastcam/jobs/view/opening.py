"""Opening a room in a process that does nothing else: what draws is loaded beside the runs."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

from fastcam.jobs.view.page_server import App
from fastcam.jobs.view.request import ViewRequest

if TYPE_CHECKING:
    from fastcam.jobs.view.room import Room


def open_room(request: ViewRequest) -> App:
    """The application of a room, while the kernels are loaded and its first case is opened."""
    # What is made until then stays: looking through it for garbage takes 0.2 of 1.9 s.
    gc.disable()
    try:
        from fastcam.jobs.view.room import Room
        from fastcam.jobs.view.server import api_of

        loading = threading.Thread(target=_load_kernels, daemon=True)
        loading.start()
        room = Room(request)
    except BaseException:
        gc.enable()
        raise
    threading.Thread(target=_prepare, args=(room, loading), daemon=True).start()
    return api_of(room)


def _prepare(room: Room, loading: threading.Thread) -> None:
    try:
        room.prepare()
        loading.join()
    finally:
        gc.freeze()
        gc.enable()


def _load_kernels() -> None:
    from fastcam_kernels._jit import without_blas

    from fastcam.figures import warmup

    with without_blas():
        warmup.warm_up()
