"""Figures of the images that a run has finished, drawn while it goes on by a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue

from fastcam.run.cgroups import cores
from fastcam.run.progress import NoProgress, Progress

# How the one line of a command that fails begins.
_ERROR = "fastcam: "
# How it ends where it drew what it could.
_DRAWN = (0, 3)
# Seconds that a run goes on after its figures have failed before that is said: what ends both, such
# as a bucket that is gone, is said by the run, once.
_PATIENCE = 10.0


class FiguresMeanwhile:
    """A progress that starts ``fastcam render --follow`` of ``store`` with the first images that
    are done.

    What the process says is noted when this progress is told something, so that two processes don't
    write into one terminal. Ctrl-C in a terminal reaches it, too; where this process alone ends, it
    draws what is finished and ends by itself.

    Attributes:
        outcome: after :meth:`wait` a line that says where the figures are, or why there are none.
    """

    def __init__(
        self,
        store: Path,
        output_dir: Path,
        progress: Progress | None,
        *,
        overwrite: bool,
        trust_inputs: bool = False,
    ) -> None:
        # The model needs the cores, too.
        workers = str(max(1, cores() // 2))
        options = ["--output-dir", str(output_dir), "--workers", workers]
        self._command = [sys.executable, "-m", "fastcam", "render", str(store), "--follow"]
        self._command += [*options, *(["--overwrite"] if overwrite else [])]
        self._command += ["--trust-inputs"] if trust_inputs else []
        self._progress = progress or NoProgress()
        self._process: subprocess.Popen[str] | None = None
        self._output_dir, self._store = output_dir, store
        self._lines: SimpleQueue[str] = SimpleQueue()
        self.outcome = self._error = ""
        self._failed_at = 0.0
        self._failure_noted = False

    def note(self, text: str) -> None:
        """As :class:`Progress` has it."""
        self._progress.note(text)

    def begin(self, what: str, total: int) -> None:
        """As :class:`Progress` has it."""
        self._progress.begin(what, total)

    def advance(self, count: int) -> None:
        """As :class:`Progress` has it."""
        process = self._process or self._start()
        self._pass_on()
        self._progress.advance(count)
        if process.poll() in (None, *_DRAWN) or self._failure_noted:
            return
        now = time.monotonic()
        self._failed_at = self._failed_at or now
        if now - self._failed_at >= _PATIENCE:
            self._failure_noted = True
            self._progress.note(self._ending(process.returncode))

    def end(self) -> None:
        """As :class:`Progress` has it."""
        self._progress.end()

    def wait(self) -> bool:
        """Wait until what is finished is drawn; whether all of it was.

        Where that failed as a whole, it is noted why, unless that was done.
        """
        process = self._process or self._start()
        while process.poll() is None:
            self._pass_on()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        # Processes that it started may hold the pipe a moment longer, where it was killed.
        self._reader.join(_PATIENCE)
        self._pass_on()
        code = process.returncode
        self.outcome = self._ending(code)
        if code not in _DRAWN and not self._failure_noted:
            self._progress.note(self.outcome)
        return code == 0

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
        )
        self._reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        self._reader.start()
        return self._process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))

    def _pass_on(self) -> None:
        """Note what the process has said since, but for the error by which it ends."""
        while True:
            try:
                line = self._lines.get_nowait()
            except Empty:
                return
            text = line.removeprefix(_ERROR)
            if text != line and not text.startswith("warning: "):
                self._error = text
            elif line:
                self._progress.note(line)

    def _ending(self, code: int) -> str:
        if code in _DRAWN:
            return f"figures: {self._output_dir}"
        reason = f" ({self._error})" if self._error else ""
        return (
            f"figures: drawing them ended with exit code {code}{reason}; fastcam render "
            f"{self._store} --output-dir {self._output_dir} goes on"
        )
