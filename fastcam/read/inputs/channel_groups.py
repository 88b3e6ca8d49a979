"""Files that are the channels of one case among the inputs of a run, as nnU-Net calls them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.volumes.channels import channel_files, channel_name


def first_channels(sources: Sequence[Path]) -> set[Path]:
    """``sources`` without the files that are further channels of others among them."""
    files = set(sources)
    further = {file for source in sources for file in channel_files(source)[1:]}
    return files - further


def case_path(source: Path) -> Path:
    """What a case is called after: ``<case>.nii.gz`` for ``<case>_0000.nii.gz``."""
    parts = channel_name(source)
    if parts is None or parts[1] != 0:
        return source
    case, _ = parts
    return source.with_name(case + source.name.removeprefix(f"{case}_0000"))


def check_no_channels(sources: Sequence[Path]) -> None:
    """InputError where all files look like the channels of cases: ``a_0000``, ``a_0001``,
    ``b_0000``, ``b_0001``, several cases with the same numbers from 0000 on, several of each.

    A model of one channel would take each for a case of its own.
    """
    cases: defaultdict[Path, list[int]] = defaultdict(list)
    for source in sources:
        parts = channel_name(source)
        if parts is None:
            return
        cases[source.parent / parts[0]].append(parts[1])
    numbers = {tuple(sorted(of_case)) for of_case in cases.values()}
    if len(cases) < 2 or len(numbers) > 1:
        return
    (shared,) = numbers
    if len(shared) > 1 and shared == tuple(range(len(shared))):
        first = sources[0]
        suffix = first.name.removeprefix(f"{_case(first)}_0000")
        raise InputError(
            f"{first.parent}: its files look like {len(shared)} channels of {len(cases)} cases, "
            f"such as {first.name}, which the model would take for {len(sources)} cases: give "
            f"--pattern '*_0000{suffix}' for the first channel, or '*{suffix}' for every file"
        )


def _case(source: Path) -> str:
    parts = channel_name(source)
    assert parts is not None
    return parts[0]
