"""What one thread does while another is in a kernel, which doesn't hold the GIL, for long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

_waiting: list[Callable[[], object]] = []


def do_meanwhile(task: Callable[[], object]) -> None:
    """Have ``task`` done the next time that a kernel runs for long; perhaps never.

    It must be work that is done later where it wasn't done then, such as imports: importing what
    `fastcam render` needs while a pickle is checked has the first of 10,000 figures come 0.15 of
    1.9 s earlier. An ImportError is left to whoever imports it again.
    """
    _waiting.append(task)


@contextlib.contextmanager
def meanwhile(load: Callable[[], object]) -> Iterator[None]:
    """Have what waits done by another thread within the block, in which this one runs a kernel; it
    is done when the block is left, as two threads that import at once may see half of a module.

    ``load`` loads the kernel, which does hold the GIL; it is called before, if anything waits.
    """
    tasks = tuple(_waiting)
    _waiting.clear()
    if not tasks:
        yield
        return

    def run() -> None:
        for task in tasks:
            with contextlib.suppress(ImportError):
                task()

    load()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
