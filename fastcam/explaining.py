"""A few images explained at once, in memory: the maps, what was predicted, and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from fastcam.attribution.wanted import Wanted
    from fastcam.inline import Figure
    from fastcam.read.preprocess import Preprocessing


# A notebook keeps what it shows: half a megabyte a figure.
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Explanation:
    """Maps of ``n`` images and what the model answered.

    ``maps``: name to float32, raw, at the layer's resolution: (n, h, w); (n, targets, h, w) for
    several targets an image; (n, layers, heads, h, w) for attention; volumes have (d, h, w) for
    (h, w). With one method the names are those of the layers, with several METHOD/LAYER.
    ``prediction`` (n,) int64 classes, or (n,) float32 values of a regression; ``probability``
    (n, classes) float32, None for a regression; ``output`` (n, k) float32, raw; ``targets``
    (n, t) int64, which outputs the maps explain, None where maps have no target.
    ``images`` are the pictures as the model saw them, (h, w, 3) uint8, behind the maps in figures.
    """

    maps: dict[str, NDArray[np.float32]]
    prediction: NDArray[Any]
    probability: NDArray[np.float32] | None
    output: NDArray[np.float32]
    targets: NDArray[np.int64] | None
    names: tuple[str, ...]
    images: list[NDArray[np.uint8]] = field(repr=False)
    diverging: bool = False
    dims: int = 2

    def __len__(self) -> int:
        return len(self.output)

    def figure(self, index: int = 0, **style: Any) -> Figure:
        """The figure of one image: a row of image, heat and overlay for every map.

        ``style``: fields of :class:`fastcam.spec.Style`, such as ``colormap="viridis"``. It saves
        itself, ``.save("a.png")``, and shows in a notebook. InputError for an index out of range.
        """
        from fastcam.inline import figure_of
        from fastcam.spec import Style

        if not -len(self) <= index < len(self):
            raise InputError(f"figure {index}: there are {len(self)} images, counted from 0")
        return figure_of(
            self.images[index], self._rows(index), title=self.names[index],
            verdict=self._said(index), style=Style(**style), diverging=self.diverging,
            dims=self.dims,
        )  # fmt: skip

    def _repr_html_(self) -> str:
        """The first figures, for a notebook."""
        import base64

        parts = []
        for index in range(min(len(self), _SHOWN)):
            packed = base64.b64encode(self.figure(index)._repr_png_()).decode()
            parts.append(f'<img style="max-width:100%" src="data:image/png;base64,{packed}">')
        if len(self) > _SHOWN:
            parts.append(f"<p>and {len(self) - _SHOWN} more: .figure(i)</p>")
        return "".join(parts)

    def _rows(self, index: int) -> dict[str, NDArray[np.float32]]:
        """The maps of one image; of several targets each is called by its class."""
        rows = {}
        for name, values in self.maps.items():
            if self.targets is None or values.ndim != self.dims + 2:
                rows[name] = values[index]
                continue
            for place, target in enumerate(self.targets[index].tolist()):
                rows[f"{name} · class {target}"] = values[index, place]
        return rows

    def _said(self, index: int) -> str:
        if self.probability is None:
            return f"output {float(self.output[index, 0]):.4g}"
        predicted = int(self.prediction[index])
        return f"predicted {predicted}  ·  confidence {self.probability[index, predicted]:.4f}"


@dataclass(frozen=True, eq=False)
class Shown:
    """What is explained: ``batch`` (n, c, *size) float32, with names and pictures for figures."""

    batch: Tensor
    names: tuple[str, ...]
    pictures: list[NDArray[np.uint8]]


def gather(images: Any, spec: Preprocessing) -> Shown:
    """Images as one batch: a tensor already preprocessed, or paths, PIL images, arrays.

    Arrays are (h, w) or (h, w, c) uint8. Raises InputError for anything else, and for a file that
    can't be read.
    """
    import torch

    if isinstance(images, torch.Tensor):
        return _of_tensor(images, spec)
    if isinstance(images, str | Path) or hasattr(images, "convert") or _is_picture(images):
        images = [images]
    if not isinstance(images, Sequence) or not len(images):
        raise InputError(
            f"images is {type(images).__name__}: give a tensor (n, c, h, w), or a list of paths, "
            "PIL images or uint8 arrays"
        )
    return _of_list(images, spec)


def _of_tensor(images: Tensor, spec: Preprocessing) -> Shown:
    if images.ndim == len(spec.size) + 1:
        images = images[None]
    if images.ndim not in (4, 5) or not images.is_floating_point() or not len(images):
        raise InputError(
            f"images has shape {tuple(images.shape)} and dtype {images.dtype}: it must be float, "
            "(n, c, h, w) or (n, c, d, h, w), preprocessed as the model wants it"
        )
    names = tuple(f"image {index}" for index in range(len(images)))
    return Shown(images, names, [_displayed(image, spec) for image in images])


def _of_list(images: Sequence[Any], spec: Preprocessing) -> Shown:
    import torch

    from fastcam.errors import CaseError
    from fastcam.read.images import read_image
    from fastcam.read.preprocess import prepare, seen

    tensors, names, pictures = [], [], []
    for index, image in enumerate(images):
        try:
            if isinstance(image, str | Path):
                pixels, name = read_image(Path(image)), Path(image).name
            else:
                pixels, name = _pixels(image, index), f"image {index}"
            tensors.append(torch.from_numpy(prepare(pixels, spec)))
            pictures.append(seen(pixels, spec))
        except CaseError as error:
            raise InputError(str(error)) from error
        names.append(name)
    return Shown(torch.stack(tensors), tuple(names), pictures)


def _is_picture(image: Any) -> bool:
    return isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3)


def _pixels(image: Any, index: int) -> NDArray[np.uint8]:
    """A PIL image or array as (h, w, c) uint8."""
    if hasattr(image, "convert"):
        mode = "L" if image.mode in ("1", "L") else "RGB"
        image = np.asarray(image.convert(mode))
    if not _is_picture(image):
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise InputError(f"images[{index}] is {what}: give a path, a PIL image or a uint8 array")
    return np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])


def _displayed(image: Tensor, spec: Preprocessing) -> NDArray[np.uint8]:
    """A preprocessed (c, [d,] h, w) tensor as a picture: the middle slice of a volume."""
    plain = image.detach().float().cpu().numpy()
    if plain.ndim == 4:
        plain = plain[:, plain.shape[1] // 2]
    if len(plain) == len(spec.mean) == 3:
        plain = plain * np.reshape(spec.std, (3, 1, 1)) + np.reshape(spec.mean, (3, 1, 1))
        levels = plain * 255.0
    else:
        plain = plain[:3] if len(plain) >= 3 else plain[:1]
        low, high = float(plain.min()), float(plain.max())
        levels = (plain - low) * (255.0 / (high - low if high > low else 1.0))
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(rounded, 0, -1))


def explanation_of(
    maps: Mapping[str, NDArray[Any]],
    output: NDArray[np.float32],
    targets: Tensor | None,
    shown: Shown,
    wanted: Wanted,
    task: Any,
) -> Explanation:
    """Arrays and answers put together."""
    from fastcam.inference.answers import answers

    said = answers(output, task)
    plain = dict(maps)
    if len(wanted.methods) == 1:
        plain = {name.partition("/")[2] or name: values for name, values in maps.items()}
    return Explanation(
        maps=plain,
        prediction=output[:, 0] if said.prediction is None else said.prediction,
        probability=said.probability,
        output=output,
        targets=None if targets is None else targets.cpu().numpy(),
        names=shown.names,
        images=shown.pictures,
        diverging=wanted.sign == "both",
        dims=shown.batch.ndim - 2,
    )
