"""The page's server: its port, who is let in, and the page while the room is opened.

It needs neither the runs nor the kernels, so that a browser loads the page while these are loaded;
what the page asks of the room waits until it is open. Everything lies below ``/<token>/``, and all
addresses on the page are relative, so that the room also works behind a proxy. Nothing is loaded
from elsewhere: the content policy forbids it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import threading
import webbrowser
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastcam.errors import FastcamError, InputError
from fastcam.jobs.view.niivue import niivue_script
from fastcam.jobs.view.request import Sharing

if TYPE_CHECKING:
    from starlette.responses import Response

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PAGE, _NIIVUE = "page.html", "niivue.js"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
)
# A notebook shows the room in a frame: one that this machine serves, a file that was saved, or one
# in VS Code, whose panels and window have schemes of their own.
_NOTEBOOKS = "'self' http://localhost:* http://127.0.0.1:* file: vscode-webview: vscode-file:"
# Seconds that a browser has to come and hear why there is no room.
_LAST_WORDS = 3.0


class NoServerError(InputError):
    """No server can run here, whatever is asked for: its libraries or all ports are missing."""


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def _pending() -> Future[App]:
    """A future that no browser that goes away can cancel."""
    future: Future[App] = Future()
    future.set_running_or_notify_cancel()
    return future


@dataclass(frozen=True, eq=False)
class PageServer:
    """A port that takes connections, and the room behind it once it is open.

    Attributes:
        sharing: who reaches it.
        listener: the socket.
        token: what addresses begin with.
        room: what answers below ``api/``, or why it can't.
    """

    sharing: Sharing
    listener: socket.socket
    token: str = field(default_factory=new_token)
    room: Future[App] = field(default_factory=_pending)
    _told: threading.Event = field(default_factory=threading.Event)

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

    def app(self) -> App:
        """The ASGI application."""
        from starlette.applications import Starlette
        from starlette.routing import Mount, Route

        routes = [
            Route("/", lambda _: _static(_PAGE)),
            Route("/static/{name}", lambda request: _static(request.path_params["name"])),
            Mount("/api", app=self._of_room),
        ]
        app: Starlette = Starlette(routes=[Mount(f"/{self.token}", routes=routes)])
        frames = _NOTEBOOKS if self.sharing.embedded else "'none'"
        return _Guard(app, _names_of(self.sharing), _POLICY.format(frames=frames))

    async def _of_room(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            app = await asyncio.wrap_future(self.room)
        except FastcamError as error:
            await json_answer({"error": str(error)}, 422)(scope, receive, send)
            self._told.set()
            return
        await app(scope, receive, send)

    def server(self) -> Any:
        """A uvicorn server, which has not begun."""
        config = needed_uvicorn().Config(
            self.app(),
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        return needed_uvicorn().Server(config)

    def serve(self, open_room: Callable[[], App], open_browser: bool) -> None:
        """Serve until Ctrl-C what ``open_room`` gives, which is called in a thread of its own.

        What it raises is raised here, after the browser has been told of it.
        """
        server = self.server()

        def opening() -> None:
            try:
                self.room.set_result(open_room())
            except BaseException as error:  # noqa: BLE001
                # Whatever it is: the page must not wait for ever.
                self.room.set_exception(error)
                if open_browser:
                    self._told.wait(_LAST_WORDS)
                server.should_exit = True

        threading.Thread(target=opening, daemon=True).start()
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[self.listener])
        if self.room.done():
            self.room.result()


def open_page_server(sharing: Sharing) -> PageServer:
    """Take a port. InputError where it can't be had; NoServerError where none can, or the server's
    libraries are missing."""
    needed_uvicorn()
    return PageServer(sharing, _listener(sharing))


def needed_uvicorn() -> Any:
    """The module uvicorn. NoServerError where it or Starlette is missing."""
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise NoServerError(
            "fastcam view needs starlette and uvicorn: pip install 'fastcam[view]'"
        ) from error
    return uvicorn


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
        kind = NoServerError if sharing.local and not sharing.port else InputError
        raise kind(
            f"--host {sharing.host} --port {sharing.port}: can't be used: {reason}; give another, "
            "or --port 0 for a free one"
        ) from error
    return listener


class _Guard:
    """Refuses what doesn't call the server by a name of its own, or comes from another page.

    A page elsewhere could have its own name lead to this machine (DNS rebinding), or post to it.
    """

    def __init__(self, app: App, names: frozenset[str], policy: str) -> None:
        self._app, self._names = app, names
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if reason := self._refusal(scope["method"], headers):
            body = reason.encode()
            start = {"type": "http.response.start", "status": 403, "headers": [
                (b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())
            ]}  # fmt: skip
            await guarded(start)
            await guarded({"type": "http.response.body", "body": body})
            return
        await self._app(scope, receive, guarded)

    def _refusal(self, method: str, headers: Mapping[bytes, str]) -> str:
        host = headers.get(b"host", "")
        if _host_name(host) not in self._names:
            return f"the name {host!r} is not this server's: give --allow-host for a proxy's"
        origin = headers.get(b"origin")
        if method not in ("GET", "HEAD") and origin is not None:
            name = urlsplit(origin).hostname or ""
            if name not in self._names:
                return "this request comes from another page"
        return ""


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _names_of(sharing: Sharing) -> frozenset[str]:
    names = {*_LOOPBACK, sharing.host.lower(), *(name.lower() for name in sharing.allowed_hosts)}
    return frozenset(names - {"0.0.0.0", "::"})


def json_answer(content: Any, status: int = 200) -> Response:
    """Plain values as an answer that is not kept."""
    from starlette.responses import Response

    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = text.encode("utf-8", "backslashreplace")
    headers = {"cache-control": "no-store"}
    return Response(body, status, headers, media_type="application/json")


def _static(name: str) -> Response:
    """A file of the page; only those that there are have an address."""
    from starlette.responses import Response

    if name == _NIIVUE and (script := niivue_script()) is not None:
        kept = {"cache-control": "private, max-age=86400"}  # five megabytes
        return Response(script.read_bytes(), headers=kept, media_type=_KINDS[".js"])
    file = files("fastcam.jobs.view") / "page" / name
    suffix = f".{name.rpartition('.')[2]}"
    if name not in _static_names() or suffix not in _KINDS:
        return Response("there is no such file", 404, media_type="text/plain")
    headers = {"cache-control": "no-cache"}
    return Response(file.read_bytes(), headers=headers, media_type=_KINDS[suffix])


def _static_names() -> set[str]:
    return {entry.name for entry in (files("fastcam.jobs.view") / "page").iterdir()}
