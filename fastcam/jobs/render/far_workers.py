"""That the workers of a Dask cluster can draw a run: they have this fastcam and see its folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam._version import __version__
from fastcam.errors import InputError
from fastcam.run.cluster_watch import ask_each
from fastcam.storage.locations import as_path

if TYPE_CHECKING:
    from distributed import Client


def check_workers(client: Client, scheduler: str, paths: Iterable[Path | None]) -> None:
    """InputError, which names the worker, where one has another fastcam or doesn't see ``paths``;
    None among these doesn't count. ``scheduler``: the option."""
    names = tuple(str(path.resolve()) for path in paths if path is not None)
    try:
        facts = ask_each(client, _facts, names)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"--scheduler {scheduler}: the scheduler or a worker can't load this fastcam "
            f"({type(error).__name__}); install the same one, {__version__}, there"
        ) from error
    for address, (version, missing) in facts.items():
        if version != __version__:
            raise InputError(
                f"worker {address} has fastcam {version}, here {__version__}; install the same "
                "versions everywhere"
            )
        if missing:
            raise InputError(
                f"worker {address} doesn't see {missing[0]}; start workers where the folders are "
                "mounted under the same names"
            )


def _facts(paths: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The version of fastcam here, and which paths aren't."""
    return __version__, tuple(path for path in paths if not as_path(path).exists())
