"""What the site's build makes with fastcam: made again only where fastcam or the recipe changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "docs-cache"


def cached(name: str, recipe: Iterable[Path | str], make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` fills for this state of the code and of the files and texts
    ``recipe``.

    Older states of ``name`` are removed. A folder that exists is complete.
    """
    digest = hashlib.sha256(_code_digest())
    for part in recipe:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    folder = CACHE / f"{name}-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    temporary = CACHE / f"{name}.making"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    make(temporary)
    for old in CACHE.glob(f"{name}-{'?' * 16}"):
        shutil.rmtree(old)
    temporary.rename(folder)
    return folder


@cache
def _code_digest() -> bytes:
    digest = hashlib.sha256()
    for top in ("fastcam", "kernels"):
        for path in sorted((ROOT / top).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.digest()
