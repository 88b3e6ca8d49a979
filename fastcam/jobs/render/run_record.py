"""What a run's folder says of the run: ``run.json``, ``failures.csv`` and its page."""

from __future__ import annotations

import contextlib
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastcam._version import __version__
from fastcam.errors import FastcamError, InputError
from fastcam.jobs.render.gallery import PAGE, write_page
from fastcam.jobs.render.report import RenderReport
from fastcam.options import Scale
from fastcam.run.folder import STORE, RunFolder
from fastcam.run.records import Failure

_LIBRARIES = ("numpy", "numba", "zarr", "dask", "distributed", "pillow", "isal", "nibabel")


class RunRecord:
    """A context manager that leaves a folder's records true, also when the job stops midway.

    ``store`` is the run store, None as long as there is none.
    """

    def __init__(self, folder: RunFolder, report: RenderReport, scale: Scale) -> None:
        self.store: Path | None = None
        self._folder, self._report, self._scale = folder, report, scale

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._write("finished")
            return
        with contextlib.suppress(FastcamError):
            self._write("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")

    def _write(self, status: str) -> None:
        folder, report = self._folder, self._report
        folder.rewrite_journal()
        if status == "finished":
            # What a worker was writing when it was lost; its items were done by others.
            folder.remove_leftovers()
        folder.write_failures(report.failures, report.redone)
        folder.write_run(
            {
                "status": status,
                "ended": datetime.now(UTC).isoformat(timespec="seconds"),
                "fastcam": __version__,
                "python": platform.python_version(),
                "libraries": {name: _version(name) for name in _LIBRARIES},
                "counts": report.counts(),
                "seconds": report.seconds,
                "figures_per_second": round(report.figures_per_second, 1),
                "scale": {"kind": self._scale, "limits": self._limits()},
                "store": self._store_text(),
            }
        )
        if self.store is not None:
            try:
                write_page(folder.path)
            except InputError as error:
                # The figures are done; a page can be had later, from `fastcam gallery`.
                report.add_failures([Failure("warning", 0, PAGE, None, 0, f"not made: {error}")])

    def _store_text(self) -> str | None:
        """The path of the run store; one inside the folder moves with it."""
        if self.store is None:
            return None
        path = self.store.resolve()
        return STORE if path == (self._folder.path / STORE).resolve() else str(path)

    def _limits(self) -> dict[str, object]:
        """Color limits by case, and by map where a figure has several; those of ``--scale slice``
        are by figure, in ``figures.csv``."""
        if self._scale == "slice":
            return {}
        records = [record for record in self._folder.finished.values() if record.slice is not None]
        return {r.case: json.loads(r.limits) if r.limits else [r.low, r.high] for r in records}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"  # Pillow, where pillow-simd stands in its place
