"""What the arrays of a store are called on the disk, whatever layers are called."""

from __future__ import annotations

import hashlib

# What file systems don't take in a name, and the sign of what was escaped.
_RESERVED = '%/\\:*?"<>|'
# Of Zarr: its own file, and the folder of chunks that others write.
_TAKEN = ("c", "zarr.json")
# Of 255 bytes the temporary names of files that are being written need their share.
_LONGEST = 180


def folder_of(name: str) -> str:
    """The folder in a store of the array ``maps/METHOD[/LAYER]``, ``gates/PATH``, ``cases/...``."""
    # Only what stands last may hold a slash: layers, and paths of modules.
    parts = name.split("/", 2 if name.startswith("maps/") else 1)
    return "/".join(map(folder_name, parts))


def folder_name(part: str) -> str:
    """``part`` as the name of a folder that Zarr and every file system take.

    Percent signs stand before the bytes of what they don't, as in URLs; very long names are cut,
    with a hash behind. Different names stay different.

    >>> folder_name("layer4.1#0"), folder_name(".."), folder_name("c"), folder_name("a/b")
    ('layer4.1#0', '%2E%2E', '%63', 'a%2Fb')
    """
    if part in _TAKEN or part.startswith("__") or not part.strip(". "):
        return _shortened("".join(map(_escaped, part)), part)
    text = "".join(_escaped(c) if c in _RESERVED or not c.isprintable() else c for c in part)
    if part[0] in ". ":
        text = _escaped(part[0]) + text[1:]
    if part[-1] in ". ":
        text = text[:-1] + _escaped(part[-1])
    return _shortened(text, part)


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _shortened(text: str, part: str) -> str:
    if len(text.encode()) <= _LONGEST:
        return text
    digest = hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text.encode()[:_LONGEST].decode(errors='ignore').rstrip('. ')}%{digest}"
