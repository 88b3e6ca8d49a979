"""Serving a reading room beside other code, as of a notebook: its opening and its end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastcam.jobs.view.page_server import PageServer, open_page_server
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.server import api_of


@dataclass(frozen=True, eq=False)
class Service:
    """A room that is open, and the server of its page, which takes connections already.

    Attributes:
        room: the room.
        page_server: it, with its port.
    """

    room: Room
    page_server: PageServer

    @property
    def address(self) -> str:
        """What the browser opens."""
        return self.page_server.address

    @property
    def port(self) -> int:
        """The port's number."""
        return self.page_server.port

    @property
    def token(self) -> str:
        """What addresses begin with."""
        return self.page_server.token

    @property
    def listener(self) -> socket.socket:
        """The socket."""
        return self.page_server.listener


def open_service(request: ViewRequest) -> Service:
    """Open the runs of a request and take a port. InputError where either can't be."""
    page_server = open_page_server(request.sharing)
    try:
        room = Room(request)
    except BaseException:
        page_server.listener.close()
        raise
    page_server.room.set_result(api_of(room))
    return Service(room, page_server)


@contextlib.contextmanager
def running(service: Service) -> Iterator[Service]:
    """The service in a thread of its own, until the context ends; for notebooks and tests."""
    stop = start_thread(service)
    try:
        yield service
    finally:
        stop()


def start_thread(service: Service) -> Callable[[], None]:
    """Serve in a thread of its own; what ends it."""
    server = service.page_server.server()
    # Signals are the main thread's.
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [service.listener]}, daemon=True
    )
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    return stop
