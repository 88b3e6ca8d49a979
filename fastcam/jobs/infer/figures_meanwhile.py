"""Figures of the images that a run has finished, drawn while it goes on by a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fastcam.run.cgroups import cores
from fastcam.run.progress import NoProgress, Progress


class FiguresMeanwhile:
    """A progress that starts ``fastcam render --follow`` of ``store`` with the first images that
    are done.

    What the process says goes to stderr. Ctrl-C in a terminal reaches it, too; where this process
    alone ends, it draws what is finished and ends by itself.
    """

    def __init__(
        self, store: Path, output_dir: Path, progress: Progress | None, *, overwrite: bool
    ) -> None:
        # The model needs the cores, too.
        workers = str(max(1, cores() // 2))
        options = ["--output-dir", str(output_dir), "--workers", workers]
        self._command = [sys.executable, "-m", "fastcam", "render", str(store), "--follow"]
        self._command += [*options, *(["--overwrite"] if overwrite else [])]
        self._progress = progress or NoProgress()
        self._process: subprocess.Popen[bytes] | None = None
        self._output_dir, self._store = output_dir, store

    def note(self, text: str) -> None:
        """As :class:`Progress` has it."""
        self._progress.note(text)

    def begin(self, what: str, total: int) -> None:
        """As :class:`Progress` has it."""
        self._progress.begin(what, total)

    def advance(self, count: int) -> None:
        """As :class:`Progress` has it."""
        if self._process is None:
            self._start()
        self._progress.advance(count)

    def end(self) -> None:
        """As :class:`Progress` has it."""
        self._progress.end()

    def wait(self) -> str:
        """Wait until what is finished is drawn, and say where the figures are."""
        process = self._process or self._start()
        code = process.wait()
        if code in (0, 3):
            return f"figures: {self._output_dir}"
        return (
            f"figures: drawing them ended with exit code {code}; fastcam render {self._store} "
            f"--output-dir {self._output_dir} goes on"
        )

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=2)
        return self._process
