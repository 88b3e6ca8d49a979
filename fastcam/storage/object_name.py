"""What a path in a bucket is called: the part of ``pathlib.Path`` that asks nothing of a store."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    # For the type checker it is one; `pathlib.Path` itself can't be extended on all Pythons alike.
    _Face = Path
else:
    _Face = object


class ObjectName(_Face):
    """``key``, which begins with the bucket, in the store of ``scheme``.

    A key with an empty part, ``.`` or ``..`` can't be named.
    """

    def __init__(self, scheme: str, key: str | PurePosixPath) -> None:
        self._scheme = scheme
        self._key = PurePosixPath(key)

    @property
    def scheme(self) -> str:
        """``s3``, ``gs`` and so on."""
        return self._scheme

    @property
    def key(self) -> PurePosixPath:
        """Bucket and name."""
        return self._key

    def __str__(self) -> str:
        return f"{self._scheme}://{'' if self._key == PurePosixPath() else self._key}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __fspath__(self) -> str:
        raise OSError(errno.EREMOTE, "is an object of a store, not a file of this machine", self)

    def __hash__(self) -> int:
        return hash((self._scheme, self._key))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ObjectName):
            return NotImplemented
        return (self._scheme, self._key) == (other._scheme, other._key)

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other)

    def __le__(self, other: object) -> bool:
        return str(self) <= str(other)

    def __gt__(self, other: object) -> bool:
        return str(self) > str(other)

    def __ge__(self, other: object) -> bool:
        return str(self) >= str(other)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._scheme, str(self._key))

    def __truediv__(self, other: str | os.PathLike[str]) -> Self:
        return self.at(self._key / other)

    def at(self, key: PurePosixPath) -> Self:
        """The path of another key in the same store."""
        return type(self)(self._scheme, key)

    def joinpath(self, *parts: str | os.PathLike[str]) -> Self:
        """As ``Path`` has it."""
        return self.at(self._key.joinpath(*parts))

    @property
    def parts(self) -> tuple[str, ...]:
        """The scheme with its ``://`` and bucket, then the parts below."""
        bucket, *below = self._key.parts or ("",)
        return f"{self._scheme}://{bucket}", *below

    @property
    def name(self) -> str:
        """As ``Path`` has it; a bucket's is its own."""
        return self._key.name

    @property
    def stem(self) -> str:
        """As ``Path`` has it."""
        return self._key.stem

    @property
    def suffix(self) -> str:
        """As ``Path`` has it."""
        return self._key.suffix

    @property
    def suffixes(self) -> list[str]:
        """As ``Path`` has it."""
        return self._key.suffixes

    @property
    def parent(self) -> Self:
        """As ``Path`` has it; that of a bucket is the bucket."""
        return self.at(self._key.parent) if len(self._key.parts) > 1 else self

    @property
    def parents(self) -> tuple[Self, ...]:
        """The folders above, up to the bucket."""
        return tuple(self.at(key) for key in self._key.parents if key.parts)

    def with_name(self, name: str) -> Self:
        """As ``Path`` has it."""
        return self.at(self._key.with_name(name))

    def with_suffix(self, suffix: str) -> Self:
        """As ``Path`` has it."""
        return self.at(self._key.with_suffix(suffix))

    def with_stem(self, stem: str) -> Self:
        """As ``Path`` has it."""
        return self.at(self._key.with_stem(stem))

    def as_posix(self) -> str:
        """The URL."""
        return str(self)

    def is_relative_to(self, other: str | os.PathLike[str], *_: object) -> bool:
        """As ``Path`` has it; of a local path it never is."""
        return isinstance(other, ObjectName) and (
            self._scheme == other._scheme and self._key.is_relative_to(other._key)
        )

    def relative_to(self, other: str | os.PathLike[str], *_: object) -> Path:  # type: ignore[override]
        """The way from ``other``, as a local relative path; ValueError where it leads elsewhere."""
        if not isinstance(other, ObjectName) or self._scheme != other._scheme:
            raise ValueError(f"{self} does not lie in {other}")
        return Path(self._key.relative_to(other._key))

    def resolve(self, strict: bool = False) -> Self:
        """The path itself: a URL is absolute and there are no links."""
        return self

    def absolute(self) -> Self:
        """The path itself."""
        return self

    def expanduser(self) -> Self:
        """The path itself."""
        return self

    def is_absolute(self) -> bool:
        """True."""
        return True
