from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fastcam.figures import warmup


def test_what_is_compiled_here_is_not_needed_again():
    warmup.warm_up()
    assert not warmup.needed()


def test_an_empty_cache_asks_for_it(tmp_path: Path):
    code = "from fastcam.figures import warmup; print(warmup.needed())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
