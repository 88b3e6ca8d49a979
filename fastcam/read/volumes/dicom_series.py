"""The images of DICOM files and the volumes that they make, from headers alone."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from fastcam.errors import CaseError
from fastcam.read.volumes.dicom_header import (
    HEADER_TAGS,
    SliceHeader,
    plane_of,
    position_of,
    slice_header,
)
from fastcam.read.volumes.dicom_traits import TRAIT_TAGS, Traits
from fastcam.read.volumes.dicom_values import COLUMNS, FRAMES, INSTANCE, ROWS, stored_integer
from fastcam.read.volumes.series import SeriesImage, SeriesVolume, choose_volume, plan_series
from fastcam.read.volumes.sources import DICOM_SUFFIXES, is_dicom, natural_key
from fastcam.storage.locations import readable

_SERIES_TAGS = (
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "InstanceNumber",
    "ImageType",
    "DimensionIndexSequence",
)
_TAGS = (*_SERIES_TAGS, *HEADER_TAGS)
_INSTANCE_UID, _SERIES_UID = 0x00080018, 0x0020000E
# Apart, so that a file's images keep its number, and their own within it.
_FRAMES = 1_000_000
# Pixels whose sides differ by no more than this share are square.
_SQUARE = 0.01


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """One image of a series: frame ``frame`` of the file ``path`` with pydicom's ``header``."""

    path: Path
    frame: int
    header: Any

    @cached_property
    def numbers(self) -> SliceHeader:
        """What the header says of it. CaseError where it makes no sense."""
        with reading(self.path):
            return slice_header(self.header, self.frame)


@dataclass(frozen=True, eq=False)
class ChosenVolume:
    """One volume of a series.

    - ``frames``: its images in the order of its slices
    - ``plan``: how they lie to each other
    - ``warnings``: what a reader of the volume should know
    """

    frames: tuple[FrameHeader, ...]
    plan: SeriesVolume
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """The images of a case's DICOM files, and the volumes that they make.

    - ``place``: the file, or the folder of several
    - ``frames``: all images, as they were found
    - ``volumes``: at least one
    - ``warnings``: of all volumes, without the place
    """

    place: Path
    frames: tuple[FrameHeader, ...]
    volumes: tuple[SeriesVolume, ...]
    warnings: tuple[str, ...]

    def choose(self, choice: str | None) -> ChosenVolume:
        """The volume called ``choice``, by number or name, or the only one.

        CaseError where there are several and none was chosen, where none or several are called so,
        where its images differ in size, and for Siemens' mosaics.
        """
        plan = choose_volume(self.volumes, choice, str(self.place))
        frames = tuple(self.frames[number] for number in plan.numbers)
        first = frames[0]
        size = _size(first)
        for entry in frames:
            if entry.header is not first.header and _size(entry) != size:
                raise CaseError(
                    f"{entry.path}: holds {_size(entry)}, but {first.path.name}"
                    f" {size}; a series' slices must have one size"
                )
        with reading(first.path):
            mosaic = "MOSAIC" in (first.header.get("ImageType") or ())
        if mosaic:
            raise CaseError(
                f"{first.path}: is a mosaic, many slices in one picture; convert the series with"
                " dcm2niix and give the NIfTI files"
            )
        warnings = [*self.warnings]
        if plan.uneven:
            warnings.append(plan.uneven)
        if len(frames) > 1 and plan.step is None and first.numbers.position is not None:
            warnings.append(
                "its frames have no positions of their own; they are taken in their order, a slice"
                f" thickness of {first.numbers.thickness:g} mm apart"
            )
        if first.numbers.position is not None and not first.numbers.sized:
            warnings.append("its header gives no size of its pixels; they are taken as 1 mm wide")
        high, wide = first.numbers.spacing
        if first.numbers.position is None and abs(high / wide - 1) > _SQUARE:
            warnings.append(
                f"its pixels are {high / wide:.3g} times as high as wide, and have no position:"
                " they are drawn as squares"
            )
        if len(frames) > 1 and first.numbers.position is None:
            warnings.append(
                "its images have no positions; they are taken in the order of their numbers"
            )
        return ChosenVolume(frames, plan, tuple(f"{self.place}: {text}" for text in warnings))


def open_series(paths: Sequence[Path]) -> DicomSeries:
    """The series of a case's files, from their headers: a case's own file, or all of its folder.

    Files that aren't DICOM images are left out. CaseError where there is none, and where a file
    can't be read or makes no sense.
    """
    from pydicom import dcmread

    headers: list[tuple[Path, Any]] = []
    for path in sorted(paths, key=lambda path: natural_key(path.name)):
        if not is_dicom(path):
            if path.suffix.lower() in DICOM_SUFFIXES or len(paths) == 1:
                raise CaseError(f"{path}: is not a DICOM file; copy it again or take it away")
            continue
        with reading(path):
            header = dcmread(
                readable(path), stop_before_pixels=True, specific_tags=_tags(_TAGS), force=True
            )
            if "Rows" in header:  # reports, contours and the like have no picture
                headers.append((path, header))
    if not headers:
        raise CaseError(f"{paths[0].parent}: holds no DICOM images")
    place = headers[0][0].parent if len(paths) > 1 else headers[0][0]
    labels = _labels(headers)
    frames: list[FrameHeader] = []
    images: list[SeriesImage] = []
    for (path, header), label in zip(headers, labels, strict=True):
        further = cache(partial(_trait_header, path))
        with reading(path):
            for frame in range(_frame_count(header)):
                entry = FrameHeader(path, frame, header)
                traits = Traits(header, frame, further)
                images.append(_image(entry, len(images), label, len(headers), traits))
                frames.append(entry)
    try:
        volumes, warnings = plan_series(images)
    except ValueError as error:
        raise CaseError(f"{place}: {error}") from error
    return DicomSeries(place, tuple(frames), tuple(volumes), tuple(warnings))


@cache
def _tags(names: tuple[str | int, ...]) -> list[Any]:
    """As pydicom's own tags: from keywords it makes them anew for every file, 0.4 ms."""
    from pydicom.tag import Tag

    return [Tag(name) for name in names]


def _trait_header(path: Path) -> Any:
    from pydicom import dcmread

    with reading(path):
        return dcmread(
            readable(path), stop_before_pixels=True, specific_tags=_tags(TRAIT_TAGS), force=True
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever pydicom and its decoders make of a bad file is a CaseError."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        yield
    except (InvalidDicomError, BytesLengthException, EOFError, struct.error) as error:
        raise CaseError(f"{path}: is damaged: {error}; copy the file again") from error
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CaseError(f"{path}: can't be read: {reason}") from error
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CaseError(f"{path}: can't be decoded: {reason}") from error


def series_label(header: Any) -> str:
    """What people call a series: its number and its description, else its UID."""
    number, text = header.get("SeriesNumber"), str(header.get("SeriesDescription") or "").strip()
    if number is None and not text:
        return f"series {header.get('SeriesInstanceUID', 'without UID')}"
    return " ".join(filter(None, ["series", "" if number is None else str(number), text]))


def _labels(headers: Sequence[tuple[Path, Any]]) -> list[str]:
    """For each file the name of its series; a file of frames without places is one of its own."""
    uids = []
    for path, header in headers:
        with reading(path):
            uids.append(_uid(header, _SERIES_UID))
    names: dict[str, str] = {}
    for uid, (path, header) in zip(uids, headers, strict=True):
        if uid not in names:
            with reading(path):
                names[uid] = series_label(header)
    twice = {name for name, count in Counter(names.values()).items() if count > 1}
    names = {uid: f"{name} ({uid})" if name in twice else name for uid, name in names.items()}
    labels = []
    for uid, (path, header) in zip(uids, headers, strict=True):
        with reading(path):
            alone = len(headers) > 1 and _frame_count(header) > 1 and not position_of(header, 0)[1]
        labels.append(f"{names[uid]}, {path.name}" if alone else names[uid])
    return labels


def _uid(header: Any, tag: int) -> str:
    """A UID, empty where there is none. As it is stored: pydicom's UIDs are checked by regular
    expressions, a tenth of the time that a series' headers take."""
    element = header.get_item(tag)
    value = None if element is None else element.value
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip("\0 ")
    return str(value or "")


def _frame_count(header: Any) -> int:
    return max(1, stored_integer(header, *FRAMES) or 1)


def _size(entry: FrameHeader) -> str:
    with reading(entry.path):
        columns, rows = (stored_integer(entry.header, *tag) for tag in (COLUMNS, ROWS))
        return f"{columns}x{rows} pixels"


def _image(entry: FrameHeader, number: int, series: str, files: int, traits: Traits) -> SeriesImage:
    header, frame, frames = entry.header, entry.frame, _frame_count(entry.header)
    position, own = position_of(header, frame)
    instance = stored_integer(header, *INSTANCE)
    name = entry.path.name
    if frames > 1:
        name = f"frame {frame + 1}" + (f" of {name}" if files > 1 else "")
        if files == 1:
            instance = frame
        elif instance is not None:
            instance = instance * _FRAMES + frame
    uid = _uid(header, _INSTANCE_UID)
    return SeriesImage(
        number=number,
        name=name,
        instance=instance,
        uid=f"{uid}.{frame}" if uid and frames > 1 else uid,
        position=position if own else None,
        plane=plane_of(header, frame),
        traits=traits,
        series=series,
    )
