"""The root of a run store: its attributes as plain JSON, and what may go wrong with them.

The same for every kind of store, so that a folder is recognized before any array is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.read.regular_files import read_regular
from fastcam.run.files import write_bytes
from fastcam.storage.object_store import MISSING_BUCKET
from fastcam.storage.small_objects import small_objects

SCHEMA_VERSION = 2
# From this one on maps are raw; before, evidence is rectified as the run was told.
RAW_SCHEMA = 2
_KNOWN = (1, SCHEMA_VERSION)
# The groups that say what is known of cases and rows, without maps and patches.
_OF_CASES = ("cases", "done", "slices")

# What Zarr raises on files that are gone, cut short or changed.
ZARR_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
)


def read_json(path: Path) -> Any:
    """What a JSON file in a store holds. OSError, ValueError or RecursionError where it can't be
    read; a pipe or a device can't."""
    return json.loads(read_regular(path).decode("utf-8"))


@contextmanager
def described(path: Path) -> Iterator[None]:
    """Within the block, what lies in a store in a bucket is answered from one listing, and the
    descriptions of its arrays, and what is known of its cases and rows, have been fetched side by
    side; what was fetched before and hasn't changed since isn't fetched again."""
    with small_objects(path, _is_known_first):
        yield


def _is_known_first(way: Path) -> bool:
    """Whether the file at that way from a store is read when it is opened."""
    # Pictures have no affines.
    of_cases = way.parts[0] in _OF_CASES and way.parent.name != "affine"
    return way.name == "zarr.json" or of_cases


def read_root(path: Path) -> dict[str, Any]:
    """The root attributes; InputError unless ``path`` is a run store of a schema that is read."""
    try:
        root = read_json(path / "zarr.json")
        attrs: dict[str, Any] = root["attributes"]
        schema = attrs["schema"]
    except OSError as error:
        if path.exists():
            raise InputError(
                f"{path}: is not a run store (no readable zarr.json in it); give the results file, "
                "or the run.zarr that fastcam wrote"
            ) from error
        gone = error.strerror == MISSING_BUCKET
        raise InputError(f"{path}: {MISSING_BUCKET if gone else 'does not exist'}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: is not a run store of fastcam (its zarr.json has no schema version)"
        ) from error
    if schema not in _KNOWN:
        raise InputError(
            f"{path}: has schema {schema!r:.40}, this fastcam reads schema "
            f"{' and '.join(map(str, _KNOWN))}; "
            "make the store again, or use the fastcam that wrote it"
        )
    return attrs


def write_setting(path: Path, name: str, value: str) -> None:
    """Change one of the settings in the root attributes of the store at ``path``."""
    file = path / "zarr.json"
    node = read_json(file)
    node["attributes"]["settings"][name] = value
    write_bytes(file, [json.dumps(node, indent=2).encode()])


def write_identity(path: Path, sha256: str) -> None:
    """Change the fingerprint by which a run knows the store at ``path``."""
    file = path / "zarr.json"
    node = read_json(file)
    node["attributes"]["sha256"] = sha256
    write_bytes(file, [json.dumps(node, indent=2).encode()], durable=True)


def storable(value: Any) -> Any:
    """``value`` for JSON: text that UTF-8 can't hold (half a surrogate pair) is escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [storable(entry) for entry in value]
    if isinstance(value, dict):
        return {key: storable(entry) for key, entry in value.items()}
    return value
