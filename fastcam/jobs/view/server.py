"""The reading room over HTTP: addresses below ``api/`` to what the room gives."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import parse_qsl, quote

from fastcam.errors import FastcamError, InputError
from fastcam.jobs.view.downloads import page_file, picture_file, report_file
from fastcam.jobs.view.page_folder import FOLDER, write_folder
from fastcam.jobs.view.page_server import App, json_answer
from fastcam.jobs.view.query import parse_picture, whole_number
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.volume_files import volume_file
from fastcam.options import VectorFormat

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_LARGEST_BODY = 1 << 20
_PIECE = 1 << 20


def api_of(room: Room) -> App:
    """The ASGI application of a room."""
    from starlette.routing import Route, Router

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        return Route(path, partial(_answer, answer), methods=["GET"])

    routes = [
        route("/room", lambda _: json_answer(room.facts())),
        route("/case", lambda asked: json_answer(room.case_facts(_case(_query(asked))))),
        route("/picture", lambda request: _picture(room, _query(request))),
        route("/reading", lambda request: json_answer(room.reading(_query(request)))),
        route("/page", lambda request: _page(room, request)),
        route("/volume", lambda request: _volume(room, _query(request))),
        route("/folder", lambda request: _folder(room, _query(request))),
        route("/report", lambda request: _report(room, _query(request))),
        route("/judgements", lambda request: _judgements(room, _query(request))),
        Route("/judgement", partial(_new_judgement, room), methods=["POST"]),
        route("/prefetch", lambda request: _prefetch(room, _query(request))),
    ]
    return Router(routes=routes)


def _answer(answer: Callable[[Request], Response], request: Request) -> Response:
    """The answer, or why there is none."""
    try:
        return answer(request)
    except FastcamError as error:
        status = 400 if isinstance(error, InputError) else 422
        return json_answer({"error": str(error)}, status)


async def _new_judgement(room: Room, request: Request) -> Response:
    """A judgement that was written."""
    from starlette.concurrency import run_in_threadpool

    try:
        content = json.loads(await _body(request))
        if not isinstance(content, dict):
            raise InputError("a judgement is an object")
        return json_answer(await run_in_threadpool(room.judge, content))
    except (ValueError, RecursionError) as error:
        return json_answer({"error": f"no JSON: {error}"}, 400)
    except FastcamError as error:
        return json_answer({"error": str(error)}, 400 if isinstance(error, InputError) else 422)


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
    return json_answer(room.judgements(query.get("reader", "")))


def _query(request: Request) -> Mapping[str, str]:
    return request.query_params


def _picture(room: Room, query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    if "file" in query:
        return _download(picture_file(room, query), "picture.png")
    picture = room.picture(query)
    headers = {"cache-control": "private, max-age=3600"}
    if picture.provisional:
        headers = {"cache-control": "no-store", "x-provisional": "1"}
    if picture.limits is not None:
        headers["x-limits"] = ",".join(map(repr, map(float, picture.limits)))
        headers["x-ends"] = ",".join(picture.ends)
        headers["x-colors"] = picture.colors
        headers["x-unit"] = quote(picture.unit)
    if not room.request.judging.blind:  # a caption names the class that is explained
        headers["x-caption"] = quote(picture.caption)
    headers["x-notes"] = quote("\n".join(picture.notes))
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
    return _download(report_file(room, _cases(query), query), "report.pdf")


def _folder(room: Room, query: Mapping[str, str]) -> Response:
    from starlette.responses import StreamingResponse

    # It may be larger than memory allows.
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    try:
        write_folder(room, _cases(query), query, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    headers = {"content-disposition": f'attachment; filename="{FOLDER}.zip"'}
    return StreamingResponse(_pieces(file), headers=headers, media_type="application/zip")


def _volume(room: Room, query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    headers = {
        "cache-control": "no-store",
        "x-colors": room.colors(parse_picture(query, room.style)),
    }
    return Response(volume_file(room, query), headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _case(query: Mapping[str, str]) -> int:
    """The number of the case that is asked for."""
    return whole_number(query, "case", 0)


def _cases(query: Mapping[str, str]) -> list[int]:
    """The numbers of the cases that are asked for."""
    texts = query.get("cases", "").split(",")
    return [whole_number({"cases": text}, "cases", 0) for text in texts]


def _download(content: bytes, name: str) -> Response:
    from starlette.responses import Response

    kinds = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=kinds[name.rpartition(".")[2]])


def _prefetch(room: Room, query: Mapping[str, str]) -> Response:
    from starlette.responses import Response

    room.prefetch(_case(query))
    return Response(status_code=204)
