"""A disk that is full from the n-th call on: one line, exit code 1, nothing half-written, and the
same command completes what is there once there is room again."""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastcam.run.run_status import PROGRESS
from tests.campaign.forked import run_forked
from tests.campaign.material import Material, Undisturbed, half_written, numbered_folders
from tests.campaign.tally import Tally

JOBS = ("render", "infer", "evaluate", "analyze", "export")


def fill_disk(folder: Path, number: int, log: Path) -> Callable[[], None]:
    """A change of a forked command: what it writes below ``folder`` fails from call ``number`` on.

    Calls are folders made, files opened to be written, pieces written and files renamed; on a full
    disk a file can still be renamed, so of renames only that of this very number fails. ``log``
    gets a line for each call.
    """

    def change() -> None:
        lock, count = threading.Lock(), 0
        log_descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        real_write = os.write
        root = str(folder.resolve())
        descriptors: dict[int, Any] = {}

        def inside(path: Any) -> bool:
            # How far a run is isn't worth its end: such a write may fail.
            if isinstance(path, int) or PROGRESS in Path(path).name:
                return False
            return str(Path(path).absolute()).startswith(root)

        def call(name: str, path: Any, once: bool = False) -> None:
            nonlocal count
            with lock:
                count += 1
                full = count == number if once else count >= number
            real_write(log_descriptor, f"{name} {path}\n".encode(errors="replace"))
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        def wrap(module: Any, name: str, calls: Callable[..., None]) -> Any:
            real = getattr(module, name)

            def wrapped(*args: Any, **named: Any) -> Any:
                calls(*args, **named)
                return real(*args, **named)

            setattr(module, name, wrapped)
            return wrapped

        class FullFile(io.FileIO):
            """A file whose pieces are counted as they leave the buffer."""

            def write(self, data: Any) -> int:
                call("write", self.name)
                return super().write(data)

        real_file = io.open

        def open_file(path: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+") or not inside(path):
                return real_file(path, mode, *args, **named)
            call("open", path)
            options = dict(zip(("buffering", "encoding", "errors", "newline"), args, strict=False))
            options |= named
            raw = FullFile(path, mode.replace("b", "").replace("t", ""))
            if options.pop("buffering", -1) == 0:
                return raw
            buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return buffer
            text = io.TextIOWrapper(buffer, **options)
            text.mode = mode  # type: ignore[misc]
            if "a" in mode:
                text.seek(0, io.SEEK_END)
            return text

        def made(path: Any, *_: Any, **__: Any) -> None:
            if inside(path):
                call("mkdir", path)

        def renamed(_: Any, path: Any, *__: Any, **___: Any) -> None:
            if inside(path):
                call("rename", path, once=True)

        def written(descriptor: int, _: Any) -> None:
            if descriptor in descriptors:
                call("write", descriptors[descriptor])

        for module in (builtins, io):
            vars(module)["open"] = open_file
        wrap(os, "mkdir", made)
        for name in ("rename", "replace"):
            wrap(os, name, renamed)
        wrap(os, "write", written)
        real_open = os.open

        def open_descriptor(path: Any, flags: int, *args: Any, **named: Any) -> int:
            writing = flags & (os.O_WRONLY | os.O_RDWR) and inside(path)
            if writing:
                call("open", path)
            descriptor = real_open(path, flags, *args, **named)
            if writing:
                descriptors[descriptor] = path
            else:
                descriptors.pop(descriptor, None)
            return descriptor

        os.open = open_descriptor

    return change


def run(material: Material, folder: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """One full disk after the other, for ever; each call of each command once before one comes a
    second time."""
    new_folder = numbered_folders(folder)
    commands = {job: material.commands()[job] for job in JOBS}
    references = {job: Undisturbed(command, folder / job) for job, command in commands.items()}
    log = folder / "calls"
    counts: dict[str, int] = {}
    for job, command in commands.items():
        work = new_folder()
        run_forked([*command, "--output-dir", "out"], work, fill_disk(work / "out", 1 << 60, log))
        counts[job] = len(_lines(log))
        shutil.rmtree(work)
    every = [(job, number) for job in JOBS for number in range(1, counts[job] + 1)]
    while True:
        for job, number in rng.sample(every, len(every)):
            work = new_folder()
            command = [*commands[job], "--output-dir", "out"]
            fault = _fill(command, work, number, log, references[job])
            trial = f"call {number}: {''.join(_lines(log)[number - 1 : number])}"
            tally.add(f"disk full in {job}, {counts[job]} calls", fault, trial)
            shutil.rmtree(work)
            yield


def _fill(command: list[Any], work: Path, number: int, log: Path, reference: Undisturbed) -> str:
    """What is wrong with a command whose disk is full from that call on; "" for nothing."""
    ended = run_forked(command, work, fill_disk(work / "out", number, log))
    lines = [line for line in ended.text.splitlines() if line.startswith("fastcam: ")]
    # How many pieces a journal is written in depends on the time, so the last may not come.
    failed = len(_lines(log)) >= number
    fault = ended.fault((1,) if failed else (0,))
    if not fault and failed and len(lines) != 1:
        fault = f"{len(lines)} lines of an error: {ended.text[-500:]}"
    if not fault and half_written(work):
        fault = f"half-written: {half_written(work)}"
    fault = fault or reference.spoiled(work / "out")
    if fault:
        return fault
    again = run_forked(command, work)
    return again.fault((0,)) or reference.difference(work / "out")


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines()
