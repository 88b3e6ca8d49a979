"""What is known of an object in a bucket without its content."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectState:
    """What is known of an object, or a folder of objects, by the names of ``os.stat_result``.

    Attributes:
        st_size: bytes; 0 of a folder.
        st_mtime_ns: the second in which it was written last, as nanoseconds since 1970; those
            below a second come from ``tag``, so that it differs where the content does.
        st_mode: whether it is an object or a folder.
        st_dev, st_ino: together, which one it is.
        tag: the store's mark of its content (ETag); "" where it has none.
    """

    st_size: int
    st_mtime_ns: int
    st_mode: int
    st_ino: int
    tag: str = ""
    st_dev: int = 0

    @property
    def st_mtime(self) -> float:
        """When it was written last, in seconds since 1970."""
        return self.st_mtime_ns / 1e9
