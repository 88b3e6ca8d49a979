"""Which font files can draw which characters: DejaVu first, then --font, then the system's."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from fastcam.errors import InputError

# Where a font with CJK characters usually is comes first, so that a desktop with thousands of
# fonts is not opened file by file.
_LIKELY = ("cjk", "wqy", "noto", "droid", "unifont", "msyh", "simsun", "pingfang", "gothic")
_SUFFIXES = (".ttf", ".otf", ".ttc")


def dejavu(bold: bool) -> Path:
    """DejaVu Sans, which comes with matplotlib; found without importing it."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise InputError("matplotlib is not installed, and with it the font DejaVu Sans")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name


@lru_cache(maxsize=64)
def load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """A font at a size in pixels, laid out glyph by glyph; errors name the file."""
    try:
        return ImageFont.truetype(os.fspath(path), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise InputError(f"--font {path}: not a font that FreeType can read ({error})") from error


def covers(path: Path, character: str) -> bool:
    """Whether a font has a glyph of its own for a character, not just its 'missing' box."""
    font = load(path, 16)
    missing = font.getmask("\U0010ffff")
    glyph = font.getmask(character)
    return (glyph.size, bytes(glyph)) != (missing.size, bytes(missing))


def chain(characters: Iterable[str], extra: Path | None = None) -> tuple[Path, ...]:
    """Fonts that together draw all characters, in the order in which they are tried.

    Characters that no font on this machine has are drawn as an empty box; they are never an
    error. ``extra`` is the font the user named.
    """
    fonts = [dejavu(bold=False)]
    if extra is not None:
        load(extra, 16)
        fonts.append(extra)
    missing = {c for c in characters if not c.isascii() and not any(covers(f, c) for f in fonts)}
    if missing:
        for candidate in _installed():
            covered = {c for c in missing if _covers_if_readable(candidate, c)}
            if covered:
                fonts.append(candidate)
                missing -= covered
            if not missing:
                break
    return tuple(fonts)


def _covers_if_readable(path: Path, character: str) -> bool:
    try:
        return covers(path, character)
    except (InputError, OSError):
        return False  # a broken font among the system's is none of this job's business


def _installed() -> list[Path]:
    home = Path.home()
    folders = [home / ".fonts", home / ".local/share/fonts", Path("/usr/share/fonts")]
    folders += [Path("/usr/local/share/fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "darwin":
        folders.append(Path("/System/Library/Fonts"))
    paths = [
        Path(folder) / name
        for top in folders
        for folder, _, names in os.walk(top)
        for name in sorted(names)
        if name.lower().endswith(_SUFFIXES)
    ]
    return sorted(paths, key=lambda p: not any(word in p.name.lower() for word in _LIKELY))
