"""An array in an ``.npz``, read from its first row on without ever being there whole."""

from __future__ import annotations

import math
import zipfile
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.archive_limits import array_layout


class ArrayRows:
    """The array in a member of an archive; a context manager that closes it.

    Attributes:
        shape: its shape.
        dtype: its dtype.

    Raises what zipfile and NumPy raise where it is damaged.
    """

    def __init__(self, archive: zipfile.ZipFile, member: str) -> None:
        self._stream = archive.open(member)
        self.shape, self.dtype, by_columns = array_layout(self._stream)
        self._whole: NDArray[Any] | None = None
        if by_columns and len(self.shape) > 1 and not self.dtype.hasobject:
            data = np.frombuffer(self._stream.read(), self.dtype)
            self._whole = data.reshape(self.shape, order="F")
        self._row = 0

    def __enter__(self) -> ArrayRows:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()

    def take(self, count: int) -> NDArray[Any]:
        """The next ``count`` rows, (count, ...); ValueError where there are fewer."""
        start, self._row = self._row, self._row + count
        if self._whole is not None:
            return self._whole[start : self._row]
        tail = self.shape[1:]
        size = count * math.prod(tail) * self.dtype.itemsize
        data = self._stream.read(size)
        if len(data) < size:
            raise ValueError(f"{self._stream.name} ends before row {self._row}")
        return np.frombuffer(data, self.dtype).reshape(count, *tail)

    def check_end(self) -> None:
        """Verify the member's checksum, which is compared at its end; BadZipFile."""
        while self._stream.read(1 << 20):
            pass
