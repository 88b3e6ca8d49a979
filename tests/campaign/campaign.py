"""Faults on purpose: kills, lost processes, full disks, hostile and damaged files, clocks, inputs
that change, and a long run.

    python -m tests.campaign.campaign --seed 0 --minutes 60
    python -m tests.campaign.campaign --only pickles --trials 500

prints a table, and ends with 1 where something went wrong. The same seed tries the same, as far
as the moments of kills can be the same.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.campaign import changes, full_disk, hostile_pickles, kills, lost_processes, mutations
from tests.campaign.forked import load_all
from tests.campaign.material import Material, make_material
from tests.campaign.tally import Tally

Trials = Callable[[Material, Path, random.Random, Tally], Iterator[None]]


@dataclass(frozen=True)
class Part:
    """What ``run`` tries for ever, a trial a step; ``few`` of them are enough for a test suite."""

    run: Trials
    few: int


PARTS = {
    "kills": Part(kills.run, 1),
    "processes": Part(lost_processes.run, 0),
    "disk": Part(full_disk.run, 2),
    "pickles": Part(hostile_pickles.run, 20),
    "mutations": Part(mutations.run, 16),
    "clock": Part(changes.set_clocks, 1),
    "inputs": Part(changes.change_inputs, 1),
    "soak": Part(changes.soak, 0),
}
# Between two lines on how far a part is.
_SECONDS = 60.0


def main() -> int:
    """Run the parts that the command line names; 1 where there were faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="of all parts together")
    parser.add_argument("--trials", type=int, help="of each part at most")
    parser.add_argument("--few", action="store_true", help="as many trials as the tests have")
    parser.add_argument("--only", action="append", choices=PARTS, help="repeatable; default: all")
    options = parser.parse_args()
    parts = options.only or [name for name, part in PARTS.items() if part.few or not options.few]
    tally = Tally()
    load_all()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fastcam-campaign-") as name:
        folder = Path(name)
        material = make_material(folder / "material")
        for number, part in enumerate(parts):
            remaining = options.minutes * 60 - (time.monotonic() - start)
            end = time.monotonic() + remaining / (len(parts) - number)
            rng = random.Random(f"{options.seed} {part}")
            trials = PARTS[part].run(material, folder / part, rng, tally)
            _try(part, trials, PARTS[part].few if options.few else options.trials, end, tally)
    minutes = (time.monotonic() - start) / 60
    print(f"{time.strftime('%Y-%m-%d')}, seed {options.seed}, {minutes:.1f} minutes\n")
    print(tally.table())
    return 1 if tally.faults else 0


def _try(part: str, trials: Iterator[None], most: int | None, end: float, tally: Tally) -> None:
    """Go through ``trials`` until there were ``most``, or until ``end``."""
    told, known = time.monotonic(), len(tally.faults)
    for count, _ in enumerate(trials, 1):
        now = time.monotonic()
        for kind, trial, fault in tally.faults[known:]:
            print(f"{kind}, {trial}: {fault}\n", file=sys.stderr)
        known = len(tally.faults)
        if now - told > _SECONDS:
            told = now
            print(f"{part}: {count} trials, {len(tally.faults)} faults", file=sys.stderr)
        if now > end or count == most:
            break


if __name__ == "__main__":
    sys.exit(main())
