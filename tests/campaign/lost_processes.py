"""Each process of a command killed in turn at a random moment: the command ends in good order, and
the same command then writes what an undisturbed run writes."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fastcam.demo.neck_set import make_test_set
from tests.campaign.forked import Ended, Forked, run_forked
from tests.campaign.material import Material, Undisturbed, numbered_folders
from tests.campaign.tally import Tally
from tests.process_tree import descendants, kill, role_of

# Commands with processes of their own to lose, and what these are; on devices it is the model that
# runs in workers, which have readers of their own.
_TREE = ("main", "fork server", "resource tracker", "worker")
ROLES = {
    "render": _TREE,
    "analyze": _TREE,
    "evaluate": (*_TREE, "reader"),
    "infer": ("main", "reader"),
    **{f"{job} on devices": _TREE for job in ("infer", "evaluate", "analyze")},
}
CLUSTER_ROLES = ("main", "scheduler", "nanny", "worker")
CLUSTER_JOBS = ("render", "infer", "evaluate", "analyze")
# So many figures that worker processes are started for them.
_IMAGES, _SLICES = 70, 30


def run(material: Material, folder: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """Every process of every command in turn, in an order of chance, for ever."""
    large = _large(material, folder / "material")
    commands = large.commands()
    for job, options in {
        "render": ("--workers", 2),
        "analyze": ("--workers", 2),
        "evaluate": ("--readers", 1, "--workers", 2, "--explain", "all"),
        "infer": ("--workers", 1),
    }.items():
        commands[job] = _with(commands[job], *options)
    new_folder = numbered_folders(folder)
    references: dict[str, tuple[Undisturbed, float]] = {}
    turns = [(job, role) for job, roles in ROLES.items() for role in roles]
    turns += [(f"{job} on a cluster", role) for job in CLUSTER_JOBS for role in CLUSTER_ROLES]
    while True:
        for job, role in rng.sample(turns, len(turns)):
            name, _, place = job.partition(" on ")
            if name not in references:
                start = time.monotonic()
                reference = Undisturbed(commands[name], folder / name)
                references[name] = reference, (time.monotonic() - start) / 2
            reference, seconds = references[name]
            command, work = [*commands[name], "--output-dir", "out"], new_folder()
            lost = [*command, "--devices", 2] if place == "devices" else command
            lose = _lose_on_a_cluster if place == "a cluster" else _lose
            fault = lose(lost, work, role, rng, seconds) or reference.spoiled(work / "out")
            again = run_forked(command, work)
            fault = fault or again.fault((0,)) or reference.difference(work / "out")
            tally.add(f"lost {role} of {job}", fault, work.name)
            shutil.rmtree(work)
            yield


def _large(material: Material, folder: Path) -> Material:
    """More of everything than the other kinds of trials need."""
    data = make_test_set(folder / "neck", cases=3, slices=_SLICES, size=96)
    images, rng = folder / "images", np.random.default_rng(0)
    images.mkdir()
    for number in range(_IMAGES):
        pixels = rng.integers(0, 255, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number:02}.png")
    table = folder / "table.csv"
    rows = [f"{number:02},{number % 2}\n" for number in range(_IMAGES)]
    table.write_text("image,class\n" + "".join(rows), encoding="utf-8")
    paths = {"results": data.results, "volumes": data.images, "masks": data.masks}
    return replace(material, **paths, images=images, table=table)


def _with(command: list[Any], *options: Any) -> list[Any]:
    """The command with other values of some of its options."""
    changed = list(command)
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name in changed:
            changed[changed.index(name) + 1] = value
        else:
            changed += [name, value]
    if changed[0] == "render":
        changed.append("--every-slice")
    return changed


def _lose(command: list[Any], work: Path, role: str, rng: random.Random, seconds: float) -> str:
    """Kill a process of that role; what is wrong with the end of the command, "" for nothing."""
    forked = Forked(command, work)
    # Some moments are those in which the process only just began.
    moment = time.monotonic() + rng.choice((0.0, rng.uniform(0, seconds)))
    killed = False
    while not killed and not forked.ended():
        there = [pid for pid in descendants(forked.pid) if role_of(pid, forked.pid) == role]
        if there and time.monotonic() >= moment:
            kill(rng.choice(there))
            killed = True
        time.sleep(0.002)
    ended = forked.finish()
    if role == "main":
        return "" if ended.code in (0, -9) and not ended.hung else ended.fault((0, -9))
    return _fault(ended)


def _fault(ended: Ended) -> str:
    lines = [line for line in ended.text.splitlines() if line.startswith("fastcam: ")]
    if not ended.fault((0, 1)) and ended.code == 1 and len(lines) != 1:
        return f"{len(lines)} lines of an error: {ended.text[-500:]}"
    return ended.fault((0, 1))


def _lose_on_a_cluster(
    command: list[Any], work: Path, role: str, rng: random.Random, seconds: float
) -> str:
    """The same of a command that uses a Dask cluster of two nannies with a worker each."""
    with _Cluster(work) as cluster:
        forked = Forked([*command, "--scheduler", cluster.file], work)
        time.sleep(rng.uniform(0, seconds))
        target = forked.pid if role == "main" else cluster.process(role, rng)
        kill(target)
        ended = forked.finish()
    shutil.rmtree(work / "cluster")
    if role == "main":
        return "" if ended.code in (0, -9) and not ended.hung else ended.fault((0, -9))
    # Before the client is connected, the cluster is one that doesn't answer.
    return "" if not ended.fault((2,)) and role == "scheduler" else _fault(ended)


class _Cluster:
    """A scheduler and two nannies, as processes of their own."""

    def __init__(self, work: Path) -> None:
        folder = work / "cluster"
        folder.mkdir()
        self.file = folder / "scheduler.json"
        address = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", self.file]
        dask = [Path(sys.executable).parent / "dask"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._processes = [subprocess.Popen([*dask, "scheduler", *address, "--port", "0"], **quiet)]
        while not self.file.exists():
            time.sleep(0.05)
        for name in ("first", "second"):
            own = ["--nthreads", "1", "--local-directory", folder / name]
            self._processes.append(subprocess.Popen([*dask, "worker", *address, *own], **quiet))

    def __enter__(self) -> _Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            for pid in reversed(descendants(process.pid)):
                kill(pid)
            process.wait()

    def process(self, role: str, rng: random.Random) -> int:
        """A process of that role; a worker's nanny where it has none yet."""
        scheduler, *nannies = (process.pid for process in self._processes)
        nanny = rng.choice(nannies)
        workers = descendants(nanny)[1:]
        if role == "scheduler":
            return scheduler
        return workers[-1] if role == "worker" and workers else nanny
