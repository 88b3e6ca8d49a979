"""What ``--scheduler`` says is the address of a Dask scheduler that answers, or one clear line."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.run import scheduler_address
from fastcam.run.scheduler import existing_cluster
from fastcam.run.scheduler_address import address_of
from tests.dask_cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path, workers=1)
    yield started
    started.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what never answers isn't waited for."""
    monkeypatch.setattr(scheduler_address, "_ANSWERING", 0.5)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("junk://x", "unknown address scheme 'junk'"),
        ("http://127.0.0.1:8786", "unknown address scheme 'http'"),
        ("://", "unknown address scheme ''"),
        ("tcp://", "missing port number"),
        ("tcp://node7", "missing port number"),
        ("node7:port", "'port'"),
        ("tls://127.0.0.1:1", "ssl_context"),
    ],
)
def test_what_is_no_address(address: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(InputError, match="is no address that Dask can connect to") as caught,
        existing_cluster(address),
    ):
        raise AssertionError
    assert str(caught.value).startswith(f"--scheduler {address}: ")
    assert reason in str(caught.value)
    assert str(caught.value).endswith("give one such as tcp://host:8786")
    assert capfd.readouterr().err == ""


def test_it_is_one_line_of_the_command(fastcam, tmp_path, neck):
    where = ["--output-dir", tmp_path / "o", "--root-dir", neck.images]
    outcome = fastcam("render", neck.results, *where, "--scheduler", "tcp://node7")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert "tcp://node7: is no address" in outcome.err
    assert not (tmp_path / "o").exists()


@pytest.mark.usefixtures("impatient")
def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": address}))
    for named in (address, str(file)):
        with pytest.raises(InputError, match="no Dask scheduler answers there") as caught:
            address_of(named)
        assert named in str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="no Dask scheduler answers there"):
            address_of(address)


@pytest.mark.skipif(sys.platform == "win32", reason="the cluster's processes")
def test_a_worker_is_no_scheduler(cluster: Cluster) -> None:
    with existing_cluster(str(cluster.file)) as client:
        (worker,) = client.nthreads()
        scheduler = client.scheduler.address
    assert address_of(str(cluster.file)) == scheduler
    with pytest.raises(InputError, match="is the address of a Dask worker") as caught:
        address_of(worker)
    assert str(caught.value).startswith(f"--scheduler {worker}: ")
