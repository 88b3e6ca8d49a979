"""The reading room over HTTP: addresses to what the room gives, for one reader with the token.

Everything lies below ``/<token>/``, and all addresses on the page are relative, so that the room
also works behind a proxy. Nothing is loaded from elsewhere: the content policy forbids it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, urlsplit

from fastcam.errors import FastcamError, InputError
from fastcam.jobs.view.downloads import page_file, report_file
from fastcam.jobs.view.query import whole_number
from fastcam.jobs.view.request import Sharing
from fastcam.jobs.view.room import Room, case_number
from fastcam.options import VectorFormat

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PAGE = "page.html"
_LARGEST_BODY = 1 << 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
)
# A notebook shows the room in a frame, and is served by this machine.
_NOTEBOOKS = "'self' http://localhost:* http://127.0.0.1:*"


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def app_of(room: Room, token: str, sharing: Sharing) -> App:
    """The ASGI application of a room, whose addresses begin with ``/<token>/``."""
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    def route(path: str, answer: Callable[[Request], Response], method: str = "GET") -> Route:
        return Route(path, partial(_answer, answer), methods=[method])

    routes = [
        route("/", lambda _: _static(_PAGE)),
        route("/static/{name}", lambda request: _static(request.path_params["name"])),
        route("/api/room", lambda _: _json(room.facts())),
        route("/api/case", lambda request: _json(room.case_facts(case_number(_query(request))))),
        route("/api/picture", lambda request: _picture(room, _query(request))),
        route("/api/reading", lambda request: _json(room.reading(_query(request)))),
        route("/api/page", lambda request: _page(room, request)),
        route("/api/report", lambda request: _report(room, _query(request))),
        route("/api/judgements", lambda request: _judgements(room, _query(request))),
        Route("/api/judgement", partial(_new_judgement, room), methods=["POST"]),
        route("/api/prefetch", lambda request: _prefetch(room, _query(request))),
    ]
    app: Starlette = Starlette(routes=[Mount(f"/{token}", routes=routes)])
    frames = _NOTEBOOKS if sharing.embedded else "'none'"
    return _Guard(app, _names_of(sharing), _POLICY.format(frames=frames))


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


def _answer(answer: Callable[[Request], Response], request: Request) -> Response:
    """The answer, or why there is none."""
    try:
        return answer(request)
    except FastcamError as error:
        status = 400 if isinstance(error, InputError) else 422
        return _json({"error": str(error)}, status)


async def _new_judgement(room: Room, request: Request) -> Response:
    """A judgement that was written."""
    from starlette.concurrency import run_in_threadpool

    try:
        content = json.loads(await _body(request))
        if not isinstance(content, dict):
            raise InputError("a judgement is an object")
        return _json(await run_in_threadpool(room.judge, content))
    except (ValueError, RecursionError) as error:
        return _json({"error": f"no JSON: {error}"}, 400)
    except FastcamError as error:
        return _json({"error": str(error)}, 400 if isinstance(error, InputError) else 422)


async def _body(request: Request) -> bytes:
    """What was sent, as far as it is no more than a judgement can be."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > _LARGEST_BODY:
            raise InputError(f"a judgement has at most {_LARGEST_BODY} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _judgements(room: Room, query: Mapping[str, str]) -> Response:
    return _json(room.judgements(query.get("reader", "")))


def _query(request: Request) -> Mapping[str, str]:
    return request.query_params


def _json(content: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = text.encode("utf-8", "backslashreplace")
    headers = {"cache-control": "no-store"}
    return Response(body, status, headers, media_type="application/json")


def _static(name: str) -> Response:
    """A file of the page; only those that there are have an address."""
    from starlette.responses import Response

    file = files("fastcam.jobs.view") / "page" / name
    suffix = f".{name.rpartition('.')[2]}"
    if name not in _static_names() or suffix not in _KINDS:
        return Response("there is no such file", 404, media_type="text/plain")
    headers = {"cache-control": "no-cache"}
    return Response(file.read_bytes(), headers=headers, media_type=_KINDS[suffix])


def _static_names() -> set[str]:
    return {entry.name for entry in (files("fastcam.jobs.view") / "page").iterdir()}


def _picture(room: Room, query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    picture = room.picture(query)
    headers = {"cache-control": "private, max-age=3600"}
    if "file" in query:
        headers["content-disposition"] = 'attachment; filename="picture.png"'
    if picture.limits is not None:
        headers["x-limits"] = ",".join(map(repr, map(float, picture.limits)))
        headers["x-colors"] = picture.colors
        headers["x-unit"] = quote(picture.unit)
    return Response(picture.png(), headers=headers, media_type="image/png")


def _page(room: Room, request: Request) -> Response:
    """The pictures on the page as a file: ``picture`` is given for each, with its own query."""
    kind = request.query_params.get("format", "pdf")
    if kind not in ("pdf", "svg"):
        raise InputError(f"format={kind!r:.40}: use pdf or svg")
    texts = request.query_params.getlist("picture")
    shared = {name: value for name, value in _query(request).items() if name != "picture"}
    queries = [shared | dict(parse_qsl(text)) for text in texts]
    return _download(page_file(room, queries, cast(VectorFormat, kind)), f"picture.{kind}")


def _report(room: Room, query: Mapping[str, str]) -> Response:
    cases = [
        whole_number({"cases": text}, "cases", 0) for text in query.get("cases", "").split(",")
    ]
    return _download(report_file(room, cases, query), "report.pdf")


def _download(content: bytes, name: str) -> Response:
    from starlette.responses import Response

    kinds = {"pdf": "application/pdf", "svg": "image/svg+xml"}
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=kinds[name.rpartition(".")[2]])


def _prefetch(room: Room, query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    room.prefetch(case_number(query))
    return Response(status_code=204)
