"""Which layers, heads and queries a view shows, checked against what the model has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastcam.errors import InputError

if TYPE_CHECKING:
    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.jobs.vit.subject import Subject

Head = int | Literal["mean"]


@dataclass(frozen=True)
class Query:
    """Whose attention is shown. ``token``: its place among all tokens, None for the mean over all
    patches. ``patch``: (row, column) of a chosen patch on the grid. ``who``: it in words."""

    token: int | None
    patch: tuple[int, int] | None
    who: str


def layers_of(wanted: Sequence[int] | None, vit: VitPass) -> tuple[int, ...]:
    """Indices of layers, from 0; negative ones count from the end.

    None is four of them from the first to the last: 0, 3, 6 and 11 of twelve. InputError for a
    layer out of range, and for none at all.
    """
    count = len(vit.layers)
    if wanted is None:
        return tuple(dict.fromkeys((0, count // 4, count // 2, count - 1)))
    if not len(wanted):
        raise InputError(f"--layers names no layer: use 0 to {count - 1}")
    return tuple(layer_of(layer, vit) for layer in wanted)


def layer_of(wanted: int, vit: VitPass) -> int:
    """One layer, from 0. InputError where it is out of range."""
    count = len(vit.layers)
    if not -count <= wanted < count:
        raise InputError(
            f"--layers {wanted}: the model has {count} layers of attention; use 0 to {count - 1}"
        )
    return wanted % count


def check_head(wanted: Head, vit: VitPass, layers: Sequence[int]) -> None:
    """InputError for a head that one of the layers hasn't."""
    if wanted == "mean":
        return
    for layer in layers:
        heads = vit.layers[layer].attention.shape[1]
        if not isinstance(wanted, int) or not 0 <= wanted < heads:
            raise InputError(
                f"--head {wanted}: layer {layer} has {heads} heads; use 0 to {heads - 1}, or mean"
            )


def query_of(wanted: int | tuple[int, int] | None, subject: Subject) -> Query:
    """Whose attention: of CLS (or the mean over patches, where the answer isn't read from CLS), or
    of the patch with this number, as :func:`fastcam.views.patch_grid` numbers them, or of the patch
    at this pixel (x, y) of the picture. InputError where that lies outside."""
    vit = subject.vit
    rows, columns = vit.grid
    if wanted is None:
        if vit.query == "cls":
            return Query(0, None, "CLS")
        why = "no CLS token" if not vit.prefix else "the head doesn't read CLS"
        return Query(None, None, f"all patches, mean over queries ({why})")
    if isinstance(wanted, int):
        if not 0 <= wanted < rows * columns:
            raise InputError(
                f"--query {wanted}: there are {rows * columns} patches; use 0 to "
                f"{rows * columns - 1}, or pixels X,Y"
            )
        row, column = divmod(wanted, columns)
    else:
        x, y = wanted
        height, width, _ = subject.picture.shape
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"--query {x},{y} lies outside the image: x is 0 to {width - 1}, y is 0 to "
                f"{height - 1}"
            )
        row, column = y * rows // height, x * columns // width
    number = row * columns + column
    who = f"patch {number} (row {row}, column {column})"
    return Query(vit.prefix + number, (row, column), who)


def check_fusion(fusion: str, discard_ratio: float) -> None:
    """InputError for a way to fuse heads, or a share to leave out, that rollout doesn't have."""
    if fusion not in ("mean", "max", "min"):
        raise InputError(f"--fusion {fusion!r} is not known: use mean, max, min")
    if not 0.0 <= discard_ratio < 1.0:
        raise InputError(f"--discard-ratio {discard_ratio}: must be 0 or more, below 1")
