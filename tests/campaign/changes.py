"""A clock that goes back, inputs that change while they are read, a long run of small figures."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from fastcam.demo.neck_set import make_test_set
from tests.campaign.forked import Forked, run_forked
from tests.campaign.material import Material, Undisturbed, numbered_folders
from tests.campaign.tally import Tally
from tests.process_tree import descendants

# Bytes that memory may grow by between the second and the last quarter of a soak.
_GROWTH = 24 << 20
_SLICES, _PATCHES = 100, 20


def clock_set_back(rng: random.Random) -> Callable[[], None]:
    """A change of a forked command: its clock is set back by hours at some moment."""
    moment, hours = rng.randint(1, 200), rng.uniform(0.1, 10)
    return _shifted(lambda looks: -3600 * hours if looks >= moment else 0.0)


def clock_always_set_back(rng: random.Random) -> Callable[[], None]:
    """A change of a forked command: its clock is set back by seconds whenever it is looked at."""
    seconds = rng.uniform(0.1, 1000)
    return _shifted(lambda looks: -seconds * looks)


def _shifted(shift: Callable[[int], float]) -> Callable[[], None]:
    """A change of a forked command: ``shift`` gives seconds to be added at the n-th look."""

    def change() -> None:
        looks = itertools.count(1)
        real, real_ns = time.time, time.time_ns

        def clock() -> float:
            return real() + shift(next(looks))

        # Libraries import the function by its name.
        for module in list(sys.modules.values()):
            if vars(module).get("time") is real:
                module.time = clock  # type: ignore[attr-defined]
        time.time_ns = lambda: real_ns() + int(shift(next(looks)) * 1e9)

    return change


def set_clocks(
    material: Material, folder: Path, rng: random.Random, tally: Tally
) -> Iterator[None]:
    """Commands whose clock is set, for ever."""
    new_folder = numbered_folders(folder)
    commands = material.commands()
    references: dict[str, Undisturbed] = {}
    while True:
        job = rng.choice(("render", "infer", "export", "explain"))
        if job not in references:
            references[job] = Undisturbed(commands[job], folder / job)
        work = new_folder()
        often = rng.random() < 0.5
        change = (clock_always_set_back if often else clock_set_back)(rng)
        ended = run_forked([*commands[job], "--output-dir", "out"], work, change)
        fault = ended.fault((0,)) or references[job].difference(work / "out")
        tally.add("clock set back at every look" if often else "clock set back once", fault, job)
        shutil.rmtree(work)
        yield


def change_inputs(
    material: Material, folder: Path, rng: random.Random, tally: Tally
) -> Iterator[None]:
    """Inputs that change while they are read, for ever."""
    new_folder = numbered_folders(folder)
    while True:
        _change_inputs(material, new_folder(), rng, tally)
        yield


def soak(_material: Material, folder: Path, _rng: random.Random, tally: Tally) -> Iterator[None]:
    """A small soak, then one of 100,000 figures after the other, for ever."""
    # Cases of 100 slices each.
    for cases in itertools.chain((20,), itertools.repeat(1000)):
        _soak(folder, tally, cases)
        yield


def _change_inputs(material: Material, work: Path, rng: random.Random, tally: Tally) -> None:
    """Volumes are rewritten while they are read; the next run draws what is there at last."""
    volumes = work / "volumes"
    shutil.copytree(material.volumes, volumes)
    files = sorted(path for path in volumes.iterdir() if path.name.endswith(".nii.gz"))
    command = ["render", material.results, "--root-dir", "volumes", "--mode", "all_slices"]
    command += ["--panel-size", "48", "--workers", "1", "--output-dir"]
    forked = Forked([*command, "out"], work)
    for _ in range(200):
        path = rng.choice(files)
        image: Any = nib.load(path)
        voxels = rng.randint(-500, 500) + np.asarray(image.dataobj).astype(np.int16)
        if rng.random() < 0.3:
            path.write_bytes(path.read_bytes()[: rng.randrange(1000)])
        time.sleep(0.005)
        nib.save(nib.Nifti1Image(voxels, image.affine), path)
        if forked.ended():
            break
    ended = forked.finish()
    fault = ended.fault((0, 3))
    again = run_forked([*command, "out"], work)
    fresh = run_forked([*command, "fresh"], work)
    fault = fault or again.fault((0,)) or fresh.fault((0,))
    if not fault:
        pictures = {
            str(path.relative_to(work / "fresh")): path.read_bytes()
            for path in (work / "fresh").rglob("*.png")
        }
        stale = [
            name for name, data in pictures.items() if (work / "out" / name).read_bytes() != data
        ]
        fault = f"stale figures: {stale[:5]}; {again.text}" if stale else ""
    tally.add("input changed while read", fault, str(work.name))
    shutil.rmtree(work)


def _soak(folder: Path, tally: Tally, cases: int) -> None:
    """Many small figures in one run, whose memory must not grow with their number."""
    folder.mkdir(parents=True)
    data = make_test_set(folder / "data", cases=1, slices=_SLICES, size=96)
    (record,) = pickle.loads(data.results.read_bytes())
    volume = next(path for path in data.images.iterdir() if path.name.endswith(".nii.gz"))
    # Few patches: it is the number of figures that counts.
    for name in ("positions", "attention_weights"):
        record[name] = record[name][:_PATCHES]
    record["num_patches"] = _PATCHES
    records = []
    for number in range(cases):
        name = f"soak_{number:05}"
        (data.images / f"{name}.nii.gz").symlink_to(volume)
        # A file that has the same lists a thousand times is refused.
        records.append({**copy.deepcopy(record), "patient_name": name})
    (folder / "soak.pkl").write_bytes(pickle.dumps(records))
    options = ["--mode", "all_slices", "--every-slice", "--panel-size", 32, "--workers", 1]
    command = ["render", "soak.pkl", "--root-dir", data.images, *options, "--output-dir", "out"]
    forked = Forked(command, folder)
    samples: list[int] = []
    while not forked.ended():
        samples.append(sum(map(_resident, descendants(forked.pid))))
        time.sleep(0.05)
    ended = forked.finish()
    fault = ended.fault((0,))
    drawn = len(list((folder / "out").glob("*/*.png")))
    if not fault and drawn != cases * _SLICES:
        fault = f"{drawn} figures of {cases * _SLICES}"
    if not fault and len(samples) > 40:
        quarter = len(samples) // 4
        early = statistics.median(samples[quarter : 2 * quarter])
        late = statistics.median(samples[3 * quarter : -2])
        if late - early > _GROWTH:
            fault = f"memory grew from {early / 2**20:.0f} to {late / 2**20:.0f} MiB"
    tally.add(f"soak of {drawn:,} figures", fault, f"{len(samples)} samples")
    shutil.rmtree(folder)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096
    except (OSError, IndexError):
        return 0
