"""Columns of a store that are too large to be read as a whole: a row is read when it is used.

The probabilities of a million images and the 21,843 classes of ImageNet-21k are 87 GB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")
# Larger columns are lazy ones.
LAZY_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class LazyColumn:
    """``count`` values, each by ``read`` of its row when it is used."""

    count: int
    read: Callable[[int], Any]

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, rows: int) -> LazyValue: ...
    @overload
    def __getitem__(self, rows: slice) -> NDArray[Any]: ...
    def __getitem__(self, rows: int | slice) -> LazyValue | NDArray[Any]:
        """The value of a row, not read yet; the values of several, read and stacked."""
        if isinstance(rows, slice):
            return np.stack([self.read(row) for row in range(*rows.indices(self.count))])
        return LazyValue(self, rows)


class LazyValue(NamedTuple):
    """The value of a row of a column, for a :class:`LazyField`."""

    column: LazyColumn
    row: int


class LazyField(Generic[Value]):
    """A field of a dataclass that may be given as :class:`LazyValue`: it is read whenever it is
    used, and isn't kept."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> LazyField[Value]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)  # the field has no default
        value = vars(instance)[self._name]
        return value.column.read(value.row) if isinstance(value, LazyValue) else value

    def __set__(self, instance: object, value: Value) -> None:
        vars(instance)[self._name] = value
