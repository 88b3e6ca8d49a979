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
    gets a byte for each call.
    """

    def change() -> None:
        lock, count = threading.Lock(), 0
        log_descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        real_write = os.write
        root = str(folder.resolve())
        descriptors: set[int] = set()

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
            real_write(log_descriptor, name[:1].encode())
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
                call("write", descriptor)

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
                descriptors.add(descriptor)
            else:
                descriptors.discard(descriptor)
            return descriptor

        os.open = open_descriptor

    return change


def run(material: Material, folder: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """One full disk after the other, for ever; each call of each command once before one comes a
    second time."""
    new_folder = numbered_folders(folder)
    commands = material.commands()
    references: dict[str, Undisturbed] = {}
    counts: dict[str, int] = {}
    left: dict[str, list[int]] = {job: [] for job in JOBS}
    log = folder / "calls"
    order: list[str] = []
    while True:
        if not order:
            order = rng.sample(JOBS, len(JOBS))
        job = order.pop()
        work = new_folder()
        command = [*commands[job], "--output-dir", "out"]
        if job not in references:
            references[job] = Undisturbed(commands[job], folder / job)
            run_forked(command, work, fill_disk(work / "out", 1 << 60, log))
            counts[job] = log.stat().st_size
            shutil.rmtree(work / "out")
        left[job] = left[job] or rng.sample(range(1, counts[job] + 1), counts[job])
        number = left[job].pop()
        ended = run_forked(command, work, fill_disk(work / "out", number, log))
        fault = ended.fault((1,))
        lines = [line for line in ended.text.splitlines() if line.startswith("fastcam: ")]
        if not fault and len(lines) != 1:
            fault = f"{len(lines)} lines of an error: {ended.text[-500:]}"
        if not fault and half_written(work):
            fault = f"half-written: {half_written(work)}"
        fault = fault or references[job].spoiled(work / "out")
        if not fault:
            again = run_forked(command, work)
            fault = again.fault((0,)) or references[job].difference(work / "out")
        tally.add(f"disk full in {job}", fault, f"call {number} of {counts[job]}")
        shutil.rmtree(work)
        yield
