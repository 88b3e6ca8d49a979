"""Commands killed at random moments: the same command then finishes, and what it writes is what an
undisturbed run writes."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.campaign.forked import Ended, Forked, run_forked
from tests.campaign.material import Material, Undisturbed, half_written, numbered_folders
from tests.campaign.tally import Tally
from tests.process_tree import descendants, kill

JOBS = ("render", "infer", "evaluate", "analyze", "explain", "export")
# Most kills fall on the command itself; the others on whatever else there is below it.
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_MOST = 4


def run(material: Material, folder: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """One command after the other, for ever, each killed up to four times before it may finish."""
    new_folder = numbered_folders(folder)
    commands = material.commands()
    # With processes of their own to lose.
    commands["infer"] = _with(commands["infer"], "--workers", 1)
    commands["evaluate"] = _with(commands["evaluate"], "--readers", 1)
    references: dict[str, tuple[Undisturbed, float]] = {}
    order: list[str] = []
    while True:
        if not order:
            order = rng.sample(JOBS, len(JOBS))
        job = order.pop()
        if job not in references:
            start = time.monotonic()
            reference = Undisturbed(commands[job], folder / job)
            references[job] = reference, (time.monotonic() - start) / 2
        reference, seconds = references[job]
        work = new_folder()
        command = [*commands[job], "--output-dir", "out"]
        fault, kills = "", 0
        for _ in range(rng.randint(1, _MOST)):
            number = rng.choice(_SIGNALS)
            forked = Forked(command, work)
            time.sleep(rng.uniform(0, seconds))
            below = descendants(forked.pid)
            target = rng.choice(below) if rng.random() < 0.4 else forked.pid
            kill(target, number)
            kills += 1
            ended = forked.finish()
            stopped = target == forked.pid
            # A signal that comes before the command line does ends Python in its own way.
            codes = (0, 130, -number) if stopped else (0, 1, 130)
            fault = fault or (
                "" if ended.code == -number and not ended.hung else _fault(ended, codes)
            )
            fault = fault or reference.spoiled(work / "out")
        again = run_forked(command, work)
        fault = fault or again.fault((0,)) or reference.difference(work / "out")
        if not fault and half_written(work):
            fault = f"half-written: {half_written(work)}"
        tally.add(f"kills of {job}", fault, f"{kills} kills")
        shutil.rmtree(work)
        yield


def _fault(ended: Ended, codes: tuple[int, ...]) -> str:
    """What is wrong with the end of a command that a signal stopped; empty for nothing."""
    # Before the command line has its handlers, Python ends by itself.
    early = "KeyboardInterrupt" in ended.text and ended.code == 130
    return "" if early else ended.fault(codes)


def _with(command: list[object], option: str, value: object) -> list[object]:
    """The command with another value of an option that it has."""
    index = command.index(option) + 1
    return [*command[:index], value, *command[index + 1 :]]
