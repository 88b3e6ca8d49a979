"""Settings of a job, as frozen dataclasses that are checked when they are made."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fastcam.errors import InputError
from fastcam.read.axis_order import Axes as Axes
from fastcam.read.volumes.named_windows import WINDOWS as WINDOWS

Mode = Literal["best_slice", "all_slices"]
Scale = Literal["slice", "patient", "cohort", "rank"]
Blend = Literal["auto", "flat", "heat"]
StyleName = Literal["standard", "classic", "paper"]
# How heat is mixed with an image, once that is settled.
MixName = Literal["flat", "heat"]
Theme = Literal["light", "dark"]
Language = Literal["en", "zh"]
RasterFormat = Literal["png", "jpg", "webp"]
VectorFormat = Literal["pdf", "svg"]
PictureFormat = Literal[RasterFormat, VectorFormat]
PanelName = Literal["image", "mask", "heat", "overlay"]
Orient = Literal["radiological", "array"]
# What pixels of figures are as high and as wide as: millimeters, or each other.
Aspect = Literal["mm", "pixels"]
Head = int | Literal["mean"]
# Evidence for an output, against it, or both.
Sign = Literal["positive", "negative", "both"]
PathLike = str | os.PathLike[str]

# The frame of boxes that is found out by the results file's mask_ratio.
AUTO_FRAME = "auto"
# Figures in a column of a journal are shrunk: letters of 15 pixels would come to 5 points.
_PAPER_LETTERS = 1.3
# Two columns of a journal.
_VECTOR_WIDTH = 180.0
USUAL_DPI = 300.0
COLORMAPS = ("jet", "viridis", "turbo", "inferno", "magma", "cividis", "coolwarm", "gray")


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"--{option} {value!r} is not known: use one of {', '.join(allowed)}")


def _at_least(option: str, value: float, least: float) -> None:
    if not value >= least:
        raise InputError(f"--{option} {value} is too small: it must be at least {least}")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the pictures of the cases are and how they lie.

    Attributes:
        root_dir: the folder of the volumes; None for stores of maps, which know their sources.
        mask_dir: the folder of the masks, if there is one.
        axes: order of the axes of NumPy arrays.
        orient: whether slices are turned as radiologists see them, or shown as stored.
        frame: where boxes lie, ``image`` or ``mask-crop:SIZE``; ``auto``, as long as nobody has
            found out which.
        slices: which slices the model got, ``all`` or ``middle:COUNT``.
        volume: number, from 1, or name of a volume where a DICOM series or 4-D NIfTI file has
            several; None: the only one, of a store of maps the one that was run.
        show_channel: number, from 1, of the channel that is shown of a volume of several; None:
            the first.
        window: (center, width) of the grey levels that are shown, in the unit of the file, such as
            HU; None: the file's own, or what the model saw.
    """

    root_dir: Path | None = None
    mask_dir: Path | None = None
    axes: Axes = "zyx"
    orient: Orient = "radiological"
    frame: str = "image"
    slices: str = "all"
    volume: str | None = None
    show_channel: int | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.window is not None:
            # As lists, from the record of a folder.
            object.__setattr__(self, "window", tuple(self.window))
        if self.show_channel is not None:
            _at_least("show-channel", self.show_channel, 1)
        _one_of("axes", self.axes, get_args(Axes))
        _one_of("orient", self.orient, get_args(Orient))
        if self.frame != "image" and self.mask_dir is None:
            raise InputError(f"--frame {self.frame} needs masks: give --mask-dir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a figure looks.

    Attributes:
        colormap: one of ``COLORMAPS``; empty for that of the ``style``: JET, or on ``paper``
            viridis.
        heat_alpha: weight of the heat, 0 to 1; the image's is ``1 - heat_alpha``.
        blend: whether that weight is the same everywhere, or grows with the heat; ``auto``: it
            grows in patch attention, and is the same elsewhere and in ``classic``.
        scale: what the limits of the colors are taken over.
        top_k: boxes of the highest attention that are drawn on the overlay.
        panel_size: the longer side, in pixels, up to which smaller slices are enlarged.
        theme: background of the page.
        language: language of the summaries.
        font: font file for characters that the built-in one lacks.
        format: file format of the figures.
        style: ``classic`` has the look of the scripts that people come from, flat JET and nothing
            beside the panels but captions; ``standard`` says where a slice lies, marks zero, and
            shows attention as multiples of uniform; ``paper`` is that with a perceptually uniform
            table and larger letters.
        class_names: names of the classes, in the order of the model's outputs; empty: numbers.
        aspect: whether pixels that aren't square in millimeters are drawn so (``mm``), or every
            pixel is a square (``pixels``); empty for that of the ``style``: ``mm``, or in
            ``classic`` ``pixels``.
        font_scale: how much larger letters are than those of the ``style``, 0.5 to 4.
        width_mm: width on paper, 30 to 1000; letters are enlarged to 7 points at least. None: that
            of ``dpi``, of pdf and svg 180.
        dpi: pixels an inch that a raster file says, 1 to 10000; with ``width_mm`` they follow from
            that. None: 300, in ``classic`` nothing.
        panels: which panels a row has, and in which order; empty: all.
    """

    colormap: str = ""
    heat_alpha: float = 0.5
    blend: Blend = "auto"
    scale: Scale = "patient"
    top_k: int = 3
    panel_size: int = 512
    theme: Theme = "light"
    language: Language = "en"
    font: Path | None = None
    format: PictureFormat = "png"
    style: StyleName = "standard"
    class_names: tuple[str, ...] = ()
    aspect: Aspect | Literal[""] = ""
    font_scale: float = 1.0
    width_mm: float | None = None
    dpi: float | None = None
    panels: tuple[PanelName, ...] = ()

    def __post_init__(self) -> None:
        _one_of("style", self.style, get_args(StyleName))
        # A list, from the record of a folder.
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if not self.colormap:
            object.__setattr__(self, "colormap", "viridis" if self.style == "paper" else "jet")
        if not self.aspect:
            object.__setattr__(self, "aspect", "pixels" if self.classic else "mm")
        _one_of("aspect", self.aspect, get_args(Aspect))
        _one_of("colormap", self.colormap, COLORMAPS)
        _one_of("blend", self.blend, get_args(Blend))
        _one_of("scale", self.scale, get_args(Scale))
        _one_of("theme", self.theme, get_args(Theme))
        _one_of("language", self.language, get_args(Language))
        _one_of("format", self.format, get_args(PictureFormat))
        self._check_paper()
        if not 0.0 <= self.heat_alpha <= 1.0:
            raise InputError(f"--heat-alpha {self.heat_alpha} is not between 0 and 1")
        _at_least("top-k", self.top_k, 0)
        _at_least("panel-size", self.panel_size, 32)
        if self.panel_size > 8192:
            raise InputError(f"--panel-size {self.panel_size} is too large: at most 8192")
        if self.font is not None and not self.font.is_file():
            raise InputError(f"--font {self.font}: no such file; give a .ttf, .otf or .ttc file")

    def _check_paper(self) -> None:
        # A list, from the record of a folder.
        object.__setattr__(self, "panels", tuple(self.panels))
        for name in self.panels:
            _one_of("panels", name, get_args(PanelName))
        if len(set(self.panels)) < len(self.panels):
            raise InputError(f"--panels {','.join(self.panels)}: names a panel twice")
        for option, value, (low, high) in (
            ("font-scale", self.font_scale, (0.5, 4.0)),
            ("width-mm", self.width_mm, (30.0, 1000.0)),
            ("dpi", self.dpi, (1.0, 10000.0)),
        ):
            if value is not None and not low <= value <= high:
                raise InputError(f"--{option} {value}: must be {low:g} to {high:g}")

    @property
    def paper_width(self) -> float | None:
        """The width on paper in mm; None for that of :attr:`file_dpi`."""
        if self.width_mm is None and self.format in get_args(VectorFormat):
            return _VECTOR_WIDTH
        return self.width_mm

    @property
    def file_dpi(self) -> float | None:
        """Pixels an inch that a raster file says; None for nothing."""
        return self.dpi or (None if self.classic else USUAL_DPI)

    @property
    def classic(self) -> bool:
        """Whether figures have the look of the scripts that people come from."""
        return self.style == "classic"

    @property
    def patch_blend(self) -> MixName:
        """How the heat of patch attention is mixed with an image."""
        if self.blend == "auto":
            return "flat" if self.classic else "heat"
        return self.blend

    @property
    def map_blend(self) -> MixName:
        """How the heat of maps is mixed with an image."""
        return "heat" if self.blend == "heat" else "flat"

    @property
    def letter_scale(self) -> float:
        """How much larger letters are than in the other styles."""
        return self.font_scale * (_PAPER_LETTERS if self.style == "paper" else 1.0)

    def shown_aspect(self, pixel_aspect: float) -> float:
        """The height of a drawn pixel over its width, where ``pixel_aspect`` is that in mm."""
        return pixel_aspect if self.aspect == "mm" else 1.0

    def class_text(self, label: int) -> str:
        """The name of a class, or its number where it has none."""
        named = 0 <= label < len(self.class_names)
        return self.class_names[label] if named else str(label)

    def class_caption(self, label: int) -> str:
        """The name of a class, or ``class`` and its number where it has none."""
        text = self.class_text(label)
        return f"class {text}" if text == str(label) else text


@dataclass(frozen=True, slots=True)
class Selection:
    """Which figures of which cases are drawn; it never changes what a single figure looks like.

    Attributes:
        mode: the best slice of each case, or all slices that have patches.
        patients: names of the cases; empty: all.
        only_errors: whether only cases with a wrong prediction are drawn.
        offset: how many of the cases that the other filters leave are skipped.
        max_samples: how many cases at most are drawn after that; None: all.
        every_slice: whether ``all_slices`` includes slices without patches.
    """

    mode: Mode = "best_slice"
    patients: tuple[str, ...] = ()
    only_errors: bool = False
    offset: int = 0
    max_samples: int | None = None
    every_slice: bool = False

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, get_args(Mode))
        _at_least("offset", self.offset, 0)
        if self.max_samples is not None:
            _at_least("max-samples", self.max_samples, 1)
        if self.every_slice and self.mode != "all_slices":
            raise InputError("--every-slice needs --mode all_slices")


@dataclass(frozen=True, slots=True)
class MapChoice:
    """Which maps of a store are drawn.

    Attributes:
        methods: names of methods; empty: all.
        layers: names of layers; empty: all, of attention the last one. That of a layer that runs
            more than once means all of its calls, ``layer#1`` one.
        head: 0-based head of attention maps, or their mean.
        sign: which evidence of maps that explain an output; None: as the run was told.
    """

    methods: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    head: Head = "mean"
    sign: Sign | None = None

    def __post_init__(self) -> None:
        if isinstance(self.head, int):
            _at_least("head", self.head, 0)
        elif self.head != "mean":
            raise _unknown_head(self.head)
        if self.sign is not None:
            _one_of("sign", self.sign, get_args(Sign))


def parse_window(option: str, text: str | None) -> tuple[float, float] | None:
    """``brain`` or ``40,80`` as center and width; InputError naming ``--option`` for neither."""
    if text is None:
        return None
    if text.strip() in WINDOWS:
        return WINDOWS[text.strip()]
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--{option} {text!r} is no window: give CENTER,WIDTH, as in 40,400, or one of "
            f"{', '.join(WINDOWS)}"
        ) from error
    if not (math.isfinite(center) and math.isfinite(width) and width > 0):
        raise InputError(
            f"--{option} {text!r}: center and width must be numbers, the width above 0"
        )
    return center, width


def layer_of_call(name: str) -> str:
    """The layer's own name in that of a call, ``layer4`` in ``layer4#1``."""
    layer, _, number = name.rpartition("#")
    return layer if layer and number.isdecimal() else name


def calls_of_last(layers: Sequence[str]) -> list[str]:
    """The last of ``layers``, with the other calls of it where it runs more than once."""
    return [name for name in layers if layer_of_call(name) == layer_of_call(layers[-1])]


def parse_head(text: str) -> Head:
    """The text of ``--head`` as a number or ``mean``; InputError where it is neither."""
    if text == "mean":
        return "mean"
    if text.isdecimal():
        return int(text)
    raise _unknown_head(text)


def _unknown_head(text: str) -> InputError:
    return InputError(f"--head {text!r} is not known: use a number from 0, or mean")
