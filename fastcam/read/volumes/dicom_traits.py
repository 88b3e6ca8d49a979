"""What tells the images of a DICOM series apart that lie at the same place: echo, phase, time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from fastcam.read.volumes.dicom_header import first_number, frame_value
from fastcam.read.volumes.dicom_private import (
    PRIVATE_TAGS,
    private_b_value,
    private_direction,
)

# What Traits read of a header beside its functional groups.
TRAIT_TAGS: tuple[str | int, ...] = (
    "EchoNumbers",
    "EchoTime",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TriggerTime",
    "InversionTime",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
    *PRIVATE_TAGS,
)
# Dimensions that say where a frame lies, not to which volume it belongs: Stack ID, In-Stack
# Position Number, Image Position (Patient), Plane Position Sequence.
_PLACES = (0x00209056, 0x00209057, 0x00200032, 0x00209113)


class Traits(Mapping[str, str]):
    """The traits of a frame of pydicom's ``image``, such as ``echo``: ``2 (TE 4.92 ms)``, the most
    telling first.

    They are read when they are first asked for: ``further`` gives the file's header with
    ``TRAIT_TAGS`` then. Most series have each place once, and parsing these for 200 files takes a
    third of the time of the rest.
    """

    def __init__(self, image: Any, frame: int, further: Callable[[], Any]) -> None:
        self._image = image
        self._frame = frame
        self._further = further

    def __getitem__(self, trait: str) -> str:
        return self._texts[trait]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    @cached_property
    def _texts(self) -> dict[str, str]:
        texts = {
            "echo": self._echo(),
            "time point": self._number("TemporalPositionIdentifier")
            or self._number("TemporalPositionIndex", "FrameContentSequence"),
            "b": self._b_value(),
            "diffusion": self._diffusion(),
            "trigger time": self._number("TriggerTime", unit=" ms")
            or self._number(
                "NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence", unit=" ms"
            ),
            "inversion time": self._number("InversionTime", unit=" ms")
            or self._number("InversionTimes", "MRModifierSequence", unit=" ms"),
            "acquisition": self._number("AcquisitionNumber")
            or self._number("FrameAcquisitionNumber", "FrameContentSequence"),
            "image type": self._image_type(),
            "stack": self._text("StackID", "FrameContentSequence"),
            **self._dimensions(),
            "acquisition time": _clock(
                self._text("AcquisitionTime")
                or self._text("FrameAcquisitionDateTime", "FrameContentSequence")[8:]
            ),
            "content time": _clock(self._text("ContentTime")),
        }
        return {trait: text for trait, text in texts.items() if text}

    def _value(self, keyword: str, *macros: str) -> Any:
        value = frame_value(self._image, self._frame, keyword, *macros)
        return self._further().get(keyword) if value is None else value

    def _number(self, keyword: str, *macros: str, unit: str = "") -> str:
        number = first_number(self._value(keyword, *macros))
        return "" if number is None else f"{number:g}{unit}"

    def _text(self, keyword: str, *macros: str) -> str:
        value = self._value(keyword, *macros)
        return "" if value is None else str(value)

    def _echo(self) -> str:
        number = self._number("EchoNumbers")
        time = self._number("EchoTime") or self._number("EffectiveEchoTime", "MREchoSequence")
        if not time:
            return number
        return f"{number} (TE {time} ms)" if number else f"TE {time} ms"

    def _b_value(self) -> str:
        standard = self._number("DiffusionBValue", "MRDiffusionSequence")
        if standard:
            return standard
        private = private_b_value(self._further())
        return "" if private is None else f"{private:g}"

    def _diffusion(self) -> str:
        """The b-value with its direction, for those that share a b-value."""
        b = self._b_value()
        direction = self._value(
            "DiffusionGradientOrientation",
            "MRDiffusionSequence",
            "DiffusionGradientDirectionSequence",
        )
        direction = direction or private_direction(self._further())
        if not direction:
            return b and f"b {b}"
        parts = ", ".join(f"{float(part):.4g}" for part in direction)
        return " ".join(filter(None, [b and f"b {b}", f"along ({parts})"]))

    def _image_type(self) -> str:
        for macro in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence"):
            of_frame = self._value("FrameType", macro)
            if of_frame:
                return "/".join(of_frame)
        return "/".join(self._image.get("ImageType") or ())

    def _dimensions(self) -> dict[str, str]:
        """The frame's index along each dimension of the file, but for those of its place."""
        from pydicom.datadict import dictionary_description

        values = self._value("DimensionIndexValues", "FrameContentSequence")
        if values is None:
            return {}
        indices = [values] if isinstance(values, int) else list(values)
        pointers = [
            entry.get("DimensionIndexPointer")
            for entry in self._image.get("DimensionIndexSequence") or []
        ]
        pointers += [None] * (len(indices) - len(pointers))
        texts = {}
        for number, (pointer, index) in enumerate(zip(pointers, indices, strict=False), start=1):
            if pointer in _PLACES:
                continue
            try:
                name = dictionary_description(pointer).lower() if pointer else ""
            except KeyError:  # of a vendor's own
                name = ""
            texts[f"index of {name}" if name else f"dimension {number}"] = str(index)
        return texts


def _clock(text: str) -> str:
    """A DICOM time, hhmmss.ffffff, as people write it."""
    if len(text) < 6 or not text[:6].isdecimal():
        return text
    return f"{text[:2]}:{text[2:4]}:{text[4:]}"
