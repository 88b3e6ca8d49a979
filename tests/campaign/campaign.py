"""Faults on purpose: kills, full disks, hostile and damaged files, changed inputs.

    python -m tests.campaign.campaign --seed 0 --minutes 60

prints a table, and ends with 1 where something went wrong. The same seed tries the same, as far
as the moments of kills can be the same.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.campaign import changes, full_disk, hostile_pickles, kills, mutations
from tests.campaign.forked import load_all
from tests.campaign.material import make_material
from tests.campaign.tally import Tally

PARTS = {
    "kills": kills.run,
    "disk": full_disk.run,
    "pickles": hostile_pickles.run,
    "mutations": mutations.run,
    "changes": changes.run,
}


def main() -> int:
    """Run the parts that the command line names; 1 where there were faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="of all parts together")
    parser.add_argument("--trials", type=int, help="of each part at most")
    parser.add_argument("--part", action="append", choices=PARTS, help="repeatable; default: all")
    options = parser.parse_args()
    parts = options.part or list(PARTS)
    tally = Tally()
    load_all()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fastcam-campaign-") as name:
        folder = Path(name)
        material = make_material(folder / "material")
        for number, part in enumerate(parts):
            rng = random.Random(f"{options.seed} {part}")
            remaining = options.minutes * 60 - (time.monotonic() - start)
            end = time.monotonic() + remaining / (len(parts) - number)
            trials = PARTS[part](material, folder / part, rng, tally)
            for count, _ in enumerate(trials, 1):
                if time.monotonic() > end or count == options.trials:
                    break
    minutes = (time.monotonic() - start) / 60
    print(f"{time.strftime('%Y-%m-%d')}, seed {options.seed}, {minutes:.1f} minutes\n")
    print(tally.table())
    for kind, trial, fault in tally.faults:
        print(f"\n{kind}, {trial}: {fault}", file=sys.stderr)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
