"""The server: who is let in, what it sends, and that nothing of a case's name becomes markup."""

from __future__ import annotations

import json
import re

import pytest

from fastcam.errors import InputError
from fastcam.jobs.view.request import Sharing
from fastcam.jobs.view.service import open_service, running
from tests.jobs.view.sample_rooms import ask, ask_json, patch_request, service_of


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(service_of(tmp_path_factory.mktemp("served"))) as served:
        yield served


def test_it_listens_on_this_machine_only(service) -> None:
    assert service.listener.getsockname()[0] == "127.0.0.1"
    assert service.address.startswith(f"http://127.0.0.1:{service.port}/")
    assert len(service.token) > 24
    assert f"-L {service.port}:127.0.0.1:{service.port}" in "\n".join(service.page_server.lines)


def test_nothing_is_there_without_the_token(service) -> None:
    for path in ("/../", "/../api/room", "/../wrong/api/room", "/../static/main.js"):
        status, _, content = ask(service, path[1:])
        assert status == 404
        assert b"p0" not in content


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("localhost:8123", 200), ("LOCALHOST", 200), ("[::1]:80", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("", 403),
    ],
)  # fmt: skip
def test_another_name_of_the_server_is_refused(service, host, status) -> None:
    assert ask(service, "api/room", headers={"Host": host})[0] == status


def test_a_proxys_name_can_be_allowed(tmp_path) -> None:
    request = patch_request(tmp_path, sharing=Sharing(allowed_hosts=("Hub.example",)))
    with running(open_service(request)) as served:
        assert ask(served, "api/room", headers={"Host": "hub.example:443"})[0] == 200
        assert ask(served, "api/room", headers={"Host": "other.example"})[0] == 403


def test_the_page_loads_nothing_from_elsewhere(service) -> None:
    status, headers, content = ask(service, "")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    links = re.findall(r'(?:src|href)="([^"]+)"', content.decode())
    assert links
    for link in links:
        assert not link.startswith(("/", "http"))  # relative, so that a proxy may stand before it
        if not link.startswith("data:"):
            assert ask(service, link)[0] == 200
    script = ask(service, "static/main.js")
    assert script[1]["content-type"].startswith("text/javascript")
    for name in re.findall(rb'from "\./([^"]+)"', script[2]):
        assert ask(service, f"static/{name.decode()}")[0] == 200


@pytest.mark.parametrize("name", ["../room.py", "..%2froom.py", "%2e%2e/room.py", "none.js", "."])
def test_no_other_file_has_an_address(service, name) -> None:
    status, _, content = ask(service, f"static/{name}")
    assert status == 404
    assert b"import" not in content


def test_pictures_and_facts(service) -> None:
    room = ask_json(service, "api/room")
    assert room["table"]["ids"] == ["p0", "p1", "p2"]
    facts = ask_json(service, "api/case", {"case": 1})
    assert facts["id"] == "p1"
    assert facts["runs"][0]["best"] == 3
    status, headers, content = ask(service, "api/picture", {"case": 1, "slice": 3})
    assert status == 200
    assert content.startswith(b"\x89PNG")
    low, high = map(float, headers["x-limits"].split(","))
    # Two boxes overlap: the mean of their weights is lower than the higher one.
    assert (low, high) == (0.0, pytest.approx(0.4))
    assert ask(service, "api/prefetch", {"case": 2})[0] == 204


def test_mistakes_are_answers(service) -> None:
    status, _, content = ask(service, "api/picture", {"case": 1, "alpha": "9"})
    assert (status, "9" in json.loads(content)["error"]) == (400, True)
    status, _, content = ask(service, "api/picture", {"case": 1, "slice": 999})
    assert (status, "999" in json.loads(content)["error"]) == (422, True)
    assert ask(service, "api/picture", method="POST", body="x")[0] == 405


def test_a_taken_port_is_said(tmp_path, service) -> None:
    request = patch_request(tmp_path, sharing=Sharing(port=service.port))
    with pytest.raises(InputError, match=f"--port {service.port}: can't be used"):
        open_service(request)


def test_a_frame_is_for_notebooks_only(tmp_path) -> None:
    request = patch_request(tmp_path, sharing=Sharing(embedded=True))
    with running(open_service(request)) as served:
        policy = ask(served, "")[1]["content-security-policy"]
        assert "frame-ancestors 'self' http://localhost:*" in policy
