"""How stored DICOM values become the quantity and the grey that are shown: LUTs and padding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.volumes.dicom_header import first_number, frame_group, frame_value
from fastcam.read.volumes.voxels import Volume

_SIXTEEN = 1 << 16


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A Modality or VOI LUT, PS3.3 C.11.1 and C.11.2.

    Not by ``pydicom.pixels.apply_voi_lut`` and ``apply_modality_lut``, with which it agrees for
    tables of 10 to 16 bits: those (pydicom 3.0) count the entries of an 8-bit table in uint8, so
    that entry 256 is entry 0 again, cut off fractions where they should round, refuse 9 bits, and
    tables with one byte an entry.

    - ``first``: the value that is mapped to the first entry, as all below are
    - ``entries`` (n,) uint8 or uint16
    - ``highest``: the highest value that an entry may have
    """

    first: int
    entries: NDArray[Any]
    highest: int

    def map(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values``, rounded to whole numbers, through the table; any shape."""
        whole = np.rint(values) if values.dtype.kind == "f" else values
        index = np.clip(np.asarray(whole, np.int64) - self.first, 0, len(self.entries) - 1)
        mapped: NDArray[Any] = self.entries[index]
        return mapped


@dataclass(frozen=True)
class SigmoidWindow:
    """The window of a VOI LUT Function SIGMOID, PS3.3 C.11.2.1.3.1."""

    center: float
    width: float
    highest = 1

    def map(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` as float32, 0 (black) to 1 (white)."""
        power = np.clip(-4 * (values.astype(np.float64) - self.center) / self.width, -700, 700)
        return (1 / (1 + np.exp(power))).astype(np.float32)


GreyMapping = LookupTable | SigmoidWindow


def modality_table(image: Any) -> LookupTable | None:
    """The Modality LUT of pydicom's ``image``; it stands in place of the rescale."""
    items = image.get("ModalityLUTSequence")
    return _table(items[0], image) if items else None


def grey_mapping(image: Any, frame: int) -> GreyMapping | None:
    """What a frame is shown through where that is no straight window: its first VOI LUT, before
    any window, or a SIGMOID."""
    for holder in (frame_group(image, frame, "FrameVOILUTSequence"), image):
        items = holder.get("VOILUTSequence") if holder is not None else None
        if items:
            return _table(items[0], image)
    if str(frame_value(image, frame, "VOILUTFunction", "FrameVOILUTSequence")) == "SIGMOID":
        center = first_number(frame_value(image, frame, "WindowCenter", "FrameVOILUTSequence"))
        width = first_number(frame_value(image, frame, "WindowWidth", "FrameVOILUTSequence"))
        if center is not None and width is not None and width > 0:
            return SigmoidWindow(center, width)
    return None


def padding_of(image: Any, pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Which stored ``pixels`` of ``image`` are padding, PS3.3 C.7.5.1.1.2; None where none is."""
    ends = [
        _raw_value(image[keyword].value, pixels.dtype)
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if image.get(keyword) is not None
    ]
    if not ends or "PixelPaddingValue" not in image or pixels.dtype.kind == "f":
        return None
    low, high = min(ends), max(ends)
    padding = pixels == low if low == high else (pixels >= low) & (pixels <= high)
    return padding if padding.any() else None


def with_black_padding(volume: Volume, padding: NDArray[np.bool_]) -> Volume:
    """``volume`` with one value in all voxels of ``padding`` (z, y, x) that is shown black and that
    no other voxel has."""
    real = volume.voxels[~padding]
    if not real.size:
        return volume
    black, white = replace(volume, voxels=real).window
    ends = np.array([real.min(), real.max(), black], np.float64)
    beyond = np.floor(ends.min()) - 1 if black <= white else np.ceil(ends.max()) + 1
    voxels = volume.voxels
    if voxels.dtype.kind in "iu":
        limits = np.iinfo(voxels.dtype)
        if not limits.min <= beyond <= limits.max:
            voxels = voxels.astype(np.int32 if voxels.dtype.itemsize < 4 else np.float64)
    fill = voxels.dtype.type(beyond)
    voxels = np.where(padding, fill, voxels)
    return replace(volume, voxels=voxels, padding=float(fill))


def _table(item: Any, image: Any) -> LookupTable:
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count or _SIXTEEN
    kind = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    data = item.LUTData
    if isinstance(data, bytes):
        # As words of two bytes; or one byte an entry, as some writers have it.
        order = "<" if _little_endian(image) else ">"
        width = "u1" if len(data) < 2 * count else f"{order}u2"
        data = np.frombuffer(data, width)
    entries = np.asarray(data).reshape(-1)[:count].astype(kind)
    if not len(entries):
        raise ValueError("its lookup table is empty")
    if first >= _SIXTEEN // 2 and _signed(image):
        first -= _SIXTEEN  # written as unsigned: its VR depends on the values
    return LookupTable(first, entries, 2**bits - 1)


def _signed(image: Any) -> bool:
    """Whether a table's input may be negative."""
    intercept = first_number(image.get("RescaleIntercept")) or 0.0
    return bool(image.get("PixelRepresentation")) or intercept < 0


def _little_endian(image: Any) -> bool:
    return bool(image.file_meta.TransferSyntaxUID.is_little_endian)


def _raw_value(value: Any, dtype: np.dtype[Any]) -> int:
    """A padding value in the type of the pixels; its VR is often that of the other sign."""
    if isinstance(value, bytes):
        value = int.from_bytes(value[:2], "little")
    return int(np.array(int(value)).astype(dtype))
