"""Serving a reading room: the port, the address to open, and the end of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastcam.errors import InputError
from fastcam.figures import warmup
from fastcam.jobs.view.request import Sharing, ViewRequest
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.server import app_of, new_token


@dataclass(frozen=True, eq=False)
class Service:
    """A room with the port that it is served at; the port takes connections already.

    Attributes:
        room: the room.
        sharing: who reaches it.
        listener: the socket.
        token: what addresses begin with.
    """

    room: Room
    sharing: Sharing
    listener: socket.socket
    token: str = field(default_factory=new_token)

    @property
    def port(self) -> int:
        """The port's number."""
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """What the browser opens."""
        host = self.sharing.host
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}/{self.token}/"

    @property
    def lines(self) -> list[str]:
        """What people are told: the address, and how to reach it from another machine."""
        lines = [f"reading room: {self.address}"]
        if self.sharing.local:
            tunnel = f"ssh -N -L {self.port}:127.0.0.1:{self.port} {socket.gethostname()}"
            lines.append(f"from another machine: {tunnel}, then open the same address there")
        else:
            lines.append(
                "anyone who reaches this machine and has the address can look and judge: "
                "it is not encrypted"
            )
        return [*lines, "Ctrl-C closes it; every judgement is on disk already"]

    def server(self) -> Any:
        """A uvicorn server of the room, which has not begun."""
        uvicorn = _uvicorn()
        config = uvicorn.Config(
            app_of(self.room, self.token, self.sharing),
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        return uvicorn.Server(config)

    def run(self, open_browser: bool) -> None:
        """Serve until Ctrl-C."""
        server = self.server()
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()
        threading.Thread(target=warm_up, daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[self.listener])


def open_service(request: ViewRequest) -> Service:
    """Open the runs of a request and take a port. InputError where either can't be."""
    _uvicorn()
    room = Room(request)
    return Service(room, request.sharing, _listener(request.sharing))


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
    server = service.server()
    # Signals are the main thread's.
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [service.listener]}, daemon=True
    )
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    return stop


def warm_up() -> None:
    """Load the drawing kernels, so that the first picture doesn't wait for them."""
    warmup.warm_up()


def _listener(sharing: Sharing) -> socket.socket:
    family = socket.AF_INET6 if ":" in sharing.host else socket.AF_INET
    # Of a socket that isn't said to be TCP's asyncio leaves Nagle's algorithm on, which holds the
    # second half of each answer back until the browser acknowledges the first: 40 ms a picture.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((sharing.host, sharing.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise InputError(
            f"--host {sharing.host} --port {sharing.port}: can't be used: {reason}; give another, "
            "or --port 0 for a free one"
        ) from error
    return listener


def _uvicorn() -> Any:
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise InputError(
            "fastcam view needs starlette and uvicorn: pip install 'fastcam[view]'"
        ) from error
    return uvicorn
