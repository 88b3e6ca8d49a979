"""The page's server: the page is there before the room, and why there is no room is said."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest

from fastcam.errors import InputError
from fastcam.jobs.view.opening import open_room
from fastcam.jobs.view.page_server import open_page_server
from fastcam.jobs.view.request import Sharing
from tests.jobs.view.sample_rooms import patch_request


def ask(page_server, path):
    """(status, body) of a request below the token; the port takes it before the server runs."""
    parts = urlsplit(page_server.address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    connection.request("GET", parts.path + path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


class Asking(threading.Thread):
    """Asks for the room's facts in a thread of its own, and keeps the answer."""

    def __init__(self, page_server) -> None:
        super().__init__(daemon=True)
        self.page_server = page_server
        self.answer: tuple[int, bytes] | None = None
        self.start()

    def run(self) -> None:
        self.answer = ask(self.page_server, "api/room")


def test_the_page_comes_before_the_room(tmp_path) -> None:
    request, page_server = patch_request(tmp_path), open_page_server(Sharing())
    server = page_server.server()
    server_thread = threading.Thread(
        target=server.run, kwargs={"sockets": [page_server.listener]}, daemon=True
    )
    server_thread.start()
    facts = Asking(page_server)
    assert ask(page_server, "")[0] == 200
    assert ask(page_server, "static/main.js")[0] == 200
    assert facts.answer is None
    page_server.room.set_result(open_room(request, print))
    facts.join(30)
    assert facts.answer is not None
    status, content = facts.answer
    assert status == 200
    assert json.loads(content)["table"]["ids"] == ["p0", "p1", "p2"]
    server.should_exit = True
    server_thread.join(20)


def test_why_there_is_no_room_is_said_and_ends_it(monkeypatch) -> None:
    page_server = open_page_server(Sharing())
    address, opened = page_server.address, []
    monkeypatch.setattr("webbrowser.open", opened.append)
    facts = Asking(page_server)

    def no_room():
        raise InputError("runs/a.zarr: is damaged")

    with pytest.raises(InputError, match=r"a\.zarr: is damaged"):
        page_server.serve(no_room, open_browser=True)
    facts.join(30)
    assert facts.answer is not None
    assert facts.answer[0] == 422
    assert json.loads(facts.answer[1]) == {"error": "runs/a.zarr: is damaged"}
    assert opened == [address]
