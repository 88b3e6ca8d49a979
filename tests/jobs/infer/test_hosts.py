"""A model on workers of several hosts, here network namespaces, that share a folder and no more."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_workers import contents, folder, infer

__all__ = ["folder"]  # a fixture

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
NET = "10.177.0"
PORT = 8786


def ip(*words: object) -> None:
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, timeout=20)


class Hosts:
    """Network namespaces on one bridge, each with the address ``10.177.0.<number + 2>``."""

    def __init__(self, count: int) -> None:
        self._prefix = f"fc{os.getpid() % 10**6}"
        self._names = [f"{self._prefix}h{number}" for number in range(count)]
        self._started: list[subprocess.Popen[bytes]] = []
        ip("link", "add", self._prefix, "type", "bridge")
        ip("link", "set", self._prefix, "up")
        for number, name in enumerate(self._names):
            ip("netns", "add", name)
            ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}v", "master", self._prefix, "up")
            ip("-n", name, "addr", "add", f"{NET}.{number + 2}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def start(self, host: int, *command: object) -> subprocess.Popen[bytes]:
        """A program on a host."""
        environment = os.environ | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._names[host], sys.executable, *map(str, command)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """The program with all its processes, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)

    def close(self) -> None:
        for process in self._started:
            self.kill(process)
        for name in self._names:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", self._prefix)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Four hosts: of the scheduler, two workers, and the command."""
    if not shutil.which("ip") or os.geteuid():
        pytest.skip("network namespaces need root and iproute2")
    try:
        made = Hosts(4)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    try:
        yield made
    finally:
        made.close()


def test_hosts_that_share_only_a_folder(folder: Path, hosts: Hosts) -> None:
    assert infer(folder, "one").exit_code == 3
    (folder / "slow").touch()
    address = f"tcp://{NET}.2:{PORT}"
    hosts.start(0, "-m", "distributed.cli.dask_scheduler", "--port", PORT, "--no-dashboard")
    worker = ("-m", "distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard")
    space = ("--local-directory", folder / "scratch")
    workers = [hosts.start(host, *worker, *space) for host in (1, 2)]
    command = hosts.start(
        3, "-m", "fastcam", "infer", folder / "images", "--model", f"{folder / 'nets.py'}:Net",
        "--layer", "layer", "--batch-size", 2, "--device", "cpu", "--scheduler", address,
        "--output-dir", folder / "far",
    )  # fmt: skip
    status = folder / "far" / "run.zarr" / "done" / "status"
    deadline = time.monotonic() + 120
    while len(list(status.glob("c.*"))) < 2 and command.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # One host is lost, and comes back.
    hosts.kill(workers[1])
    hosts.start(2, *worker, *space)
    output, _ = command.communicate(timeout=120)
    assert command.returncode == 3, output.decode()
    assert contents(folder / "far") == contents(folder / "one")
