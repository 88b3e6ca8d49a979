"""What the workers of a cluster must have to draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastcam._version import __version__
from fastcam.errors import InputError
from fastcam.jobs.render import far_workers
from fastcam.jobs.render.far_workers import check_workers


def test_a_worker_that_cannot_draw_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = far_workers._facts((str(tmp_path), str(tmp_path / "no")))
    assert here == (__version__, (str(tmp_path / "no"),))
    answers: dict[str, Any] = {"tcp://a": (__version__, ())}
    monkeypatch.setattr(far_workers, "ask_each", lambda *_: answers)
    client: Any = None
    check_workers(client, "file", [tmp_path, None])
    answers["tcp://b"] = here
    with pytest.raises(InputError, match=r"worker tcp://b doesn't see .*/no; start workers where"):
        check_workers(client, "file", [tmp_path])
    answers["tcp://b"] = ("0.0.9", ())
    with pytest.raises(InputError, match=r"worker tcp://b has fastcam 0\.0\.9, here "):
        check_workers(client, "file", [tmp_path])


def test_workers_that_have_no_fastcam(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'fastcam'")

    monkeypatch.setattr(far_workers, "ask_each", ask)
    with pytest.raises(InputError, match="--scheduler file: the scheduler or a worker can't load"):
        check_workers(None, "file", [])  # type: ignore[arg-type]
