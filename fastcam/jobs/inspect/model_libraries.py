"""The libraries that models come from: which are installed, and whether they load.

Each is imported by a process of its own, so that one that crashes or hangs costs nothing here.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

# Distribution -> the module that fastcam takes models from.
LIBRARIES = {
    "torchvision": "torchvision.models",
    "timm": "timm",
    "monai": "monai.networks.nets",
    "transformers": "transformers.models.auto.modeling_auto",
}
# MONAI, the slowest, takes 10 s on two idle cores, and 50 s on busy ones.
SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class LibraryState:
    """What became of a library.

    - ``name``: of the distribution
    - ``version``: None where it is not installed
    - ``loads``: whether it can be imported; None where it is not installed, or nobody knows
    - ``reason``: why it can't, in one line; else empty
    """

    name: str
    version: str | None
    loads: bool | None = None
    reason: str = ""


def library_states(
    libraries: Mapping[str, str] = LIBRARIES, seconds: float = SECONDS
) -> list[LibraryState]:
    """Look for each of the ``libraries``, name -> module, and import those that are installed, all
    at once and for ``seconds`` at most."""
    with ThreadPoolExecutor(max(1, len(libraries))) as pool:
        states = [pool.submit(_state, *item, seconds) for item in libraries.items()]
        return [state.result() for state in states]


def _state(name: str, module: str, seconds: float) -> LibraryState:
    version = None
    with contextlib.suppress(metadata.PackageNotFoundError):
        version = metadata.version(name)
    if version is None:
        return LibraryState(name, None)
    # Not from the folder that fastcam was started in: there a script may be called like a library.
    command = [sys.executable, "-P", "-W", "ignore", "-c", f"import {module}"]
    # A file, for a pipe would be waited for as long as a child of the child has it open.
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            code = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return LibraryState(name, version, None, f"not within {seconds:g} s")
        finally:
            child.kill()
            child.wait()
        errors.seek(0)
        lines = errors.read().decode(errors="replace").split("\n")
    if code == 0:
        return LibraryState(name, version, True)
    if code < 0:
        return LibraryState(name, version, False, f"ended by {signal.Signals(-code).name}")
    output = [line.strip() for line in lines if line.strip()]
    return LibraryState(name, version, False, output[-1][:300] if output else f"exit code {code}")
