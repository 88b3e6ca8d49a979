"""View 2: the position embedding, and which positions of the image it makes similar.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 7 (center) and section 4.5:
similarity is the cosine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.tokens import count_prefix, patch_size, whole_patches
from fastcam.errors import InputError
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.paper_plots import PlotPage
from fastcam.figures.view_panels import titled
from fastcam.inference.images import resolve_preprocessing
from fastcam.options import Style
from fastcam.report.plots import (
    color_bar,
    frame,
    frame_image,
    new_page,
    page_figure,
    write_row_title,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

# Points (n, 2) in the plane of two principal components, and these' shares (2,) of the variance.
Plane = tuple[NDArray[np.float64], NDArray[np.float64]]

# As timm, torchvision, Hugging Face and CLIP call it; an nn.Embedding has it as its weight.
_NAMES = (
    "pos_embed",
    "pos_embedding",
    "position_embeddings",
    "position_embedding",
    "positional_embedding",
    "absolute_pos_embed",
)
_ROTARY = ("rope", "rotary")
_RELATIVE = ("relative_position_bias", "rel_pos")
_COLORMAP = "viridis"
# What an error about a model without position embedding ends with.
REMEDY = "; leave out this view"


@dataclass(frozen=True, eq=False)
class Positions:
    """The position embedding of a model's patches.

    - ``vectors`` (rows · columns, dim) float64: row by row of the grid
    - ``grid``: (rows, columns) of patches
    - ``name``: the parameter's path
    - ``left_out``: how many vectors of CLS and registers come before those of the patches
    - ``rotary``: whether the model has a rotary embedding besides
    """

    vectors: NDArray[np.float64]
    grid: tuple[int, int]
    name: str
    left_out: int
    rotary: bool = False


def position_embedding(
    model: nn.Module,
    *,
    compare: nn.Module | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """Cosine similarity of the position embedding's vectors, and their first two components.

    From left to right: every patch against every other; the center patch against all others, on
    the grid; the two principal components (centered vectors, not scaled), colored by row and by
    column of the patch. Vectors of CLS and registers are left out. ``compare``: another model, in a
    row below on the same scales, called as ``labels`` say.

    Raises InputError for a model with rotary or relative positions only, or with none, and where
    the vectors are no grid of patches.
    """
    style = style or Style()
    models = [positions_of(network) for network in (model, compare) if network is not None]
    if len({positions.grid for positions in models}) > 1:
        grids = " and ".join("{}×{}".format(*positions.grid) for positions in models)
        raise InputError(
            f"compare: the position embeddings have grids of {grids} patches; compare two "
            "checkpoints of one architecture"
        )
    cosines = [cosine(positions.vectors) for positions in models]
    planes = [two_components(positions.vectors) for positions in models]
    low = min(float(values.min()) for values in cosines)
    # Two rows have their names above them.
    page = new_page(20.0, (1.0 + 4.3) if len(models) == 1 else 1.2 + 4.8 * len(models), style)
    _, height = page.get_size_inches()
    spread = page.add_gridspec(
        len(models),
        4,
        left=0.035,
        right=0.968,
        top=1 - (1.2 if len(models) == 1 else 1.5) / height,
        bottom=0.6 / height,
        wspace=0.46,
        hspace=0.36,
    )
    write_title(page, titled(title, "position embedding"), _note(models[0]), style)
    for row, (positions, values, plane) in enumerate(zip(models, cosines, planes, strict=True)):
        axes = [page.add_subplot(spread[row, column]) for column in range(4)]
        if len(models) > 1:
            write_row_title(axes[0], labels[row], style)
        _matrix(page, axes[0], values, low, style)
        _centre(page, axes[1], values, positions.grid, low, style)
        _planes(page, axes[2:], plane, positions.grid, style)
        for plot in axes[2:]:
            _same_limits(plot, planes)
    return page_figure(PlotPage(page, rows_apart=True), style)


def _note(positions: Positions) -> str:
    count, dim = positions.vectors.shape
    rows, columns = positions.grid
    parts = [f"{positions.name}: {count} vectors of {dim} numbers on a grid of {rows}×{columns}"]
    if positions.left_out:
        parts.append(f"{positions.left_out} of CLS or registers left out")
    if positions.rotary:
        parts.append("the model also has a rotary embedding, which isn't shown")
    return "; ".join(parts) + "."


def positions_of(model: nn.Module) -> Positions:
    """The vectors that ``model`` adds to its patches. InputError where it has none, or they are no
    grid of patches."""
    model = getattr(model, "_orig_mod", model)
    embeddings = _embeddings(model)
    rotary = _mentions(model, _ROTARY)
    if not embeddings:
        raise InputError(_reason_for_none(model, rotary))
    name, tensor = embeddings[0]
    vectors = tensor.detach().double().cpu().numpy()
    if vectors.ndim == 4 and vectors.shape[0] == 1:
        grid: tuple[int, int] | None = vectors.shape[1:3]
        left_out = 0
        vectors = vectors.reshape(-1, vectors.shape[-1])
    else:
        vectors = vectors.reshape(-1, vectors.shape[-1])
        grid, left_out = _grid(model, len(vectors))
    if grid is None:
        raise InputError(
            f"{type(model).__name__}: the {len(vectors)} vectors of its position embedding "
            f"{name!r} are no grid of patches"
        )
    vectors = vectors[left_out:]
    if not np.isfinite(vectors).all():
        raise InputError(
            f"the position embedding {name!r} holds NaN or infinity; the checkpoint is damaged"
        )
    return Positions(vectors, grid, name, left_out, rotary)


def _embeddings(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and buffers that are called like a position embedding, with their paths."""
    embeddings = []
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        last = name.removesuffix(".weight").rpartition(".")[2]
        if last in _NAMES and tensor.is_floating_point() and tensor.ndim in (2, 3, 4):
            embeddings.append((name, tensor))
    return embeddings


def _grid(model: nn.Module, count: int) -> tuple[tuple[int, int] | None, int]:
    """The patches' grid and how many of ``count`` vectors come before it: those of all prefix
    tokens, of CLS alone (registers have no position in DINOv2), or none."""
    prefix = count_prefix(model)
    prefixes = list(dict.fromkeys((prefix.count, int(prefix.cls), 0)))
    size = resolve_preprocessing(model).size
    for skipped in prefixes:
        grid = whole_patches(count - skipped, size, patch_size(model))
        if grid is not None:
            return (grid[0], grid[1]), skipped
    # Embeddings may be kept for images of another size than the model's: squares then.
    for skipped in prefixes:
        side = math.isqrt(max(count - skipped, 0))
        if side and side * side == count - skipped:
            return (side, side), skipped
    return None, 0


def _reason_for_none(model: nn.Module, rotary: bool) -> str:
    name = type(model).__name__
    if rotary:
        return (
            f"{name} has a rotary position embedding: it turns queries and keys by angles, and "
            f"there are no vectors of patches whose similarity could be shown{REMEDY}"
        )
    if _mentions(model, _RELATIVE):
        return (
            f"{name} has relative positions only: they are added to attention scores, and there "
            f"are no vectors of patches whose similarity could be shown{REMEDY}"
        )
    return (
        f"{name} has no position embedding (looked for parameters called {', '.join(_NAMES)})"
        f"{REMEDY}"
    )


def _mentions(model: nn.Module, words: Sequence[str]) -> bool:
    """Whether a module's class or path, or a parameter or buffer, is called by one of the words."""
    names = [f"{type(module).__name__} {name}" for name, module in model.named_modules()]
    names += [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    return any(word in name.lower() for name in names for word in words)


def cosine(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine (n, n) of every pair of ``vectors`` (n, dim); 0 with a vector that is all zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    cosines: NDArray[np.float64] = unit @ unit.T
    return np.clip(cosines, -1.0, 1.0, out=cosines)


def two_components(points: NDArray[np.float64]) -> Plane:
    """The first two principal components (n, 2) of ``points`` (n, dim), centered and not scaled,
    and their shares of the variance (2,); 0 where there is none.

    Signs are free in the theory; here the largest coordinate of each axis is positive.
    """
    centered = points - points.mean(0)
    components, share = np.zeros((len(points), 2)), np.zeros(2)
    total = float((centered**2).sum())
    # Eigenvectors of the smaller product: 4 ms in place of 14 for 196 points of 384 numbers.
    wide = len(points) < points.shape[1]
    sizes, vectors = np.linalg.eigh(centered @ centered.T if wide else centered.T @ centered)
    for number in range(min(2, len(sizes))):
        axis, size = vectors[:, -1 - number], sizes[-1 - number]
        if total <= 0 or size <= total * 1e-14:
            break
        if wide:
            axis = axis @ centered / math.sqrt(size)
        sign = 1.0 if axis[np.abs(axis).argmax()] >= 0 else -1.0
        components[:, number] = sign * (centered @ axis)
        share[number] = size / total
    return components, share


def _matrix(page: Page, axes: Axes, values: NDArray[np.float64], low: float, style: Style) -> None:
    frame_image(axes, "cosine, every patch with every other", style, "patch", "patch")
    # Each pixel shows the mean of what it covers: 1024 patches have more pairs than pixels.
    drawing = axes.imshow(
        values,
        cmap=_COLORMAP,
        vmin=low,
        vmax=1.0,
        interpolation="antialiased",
        interpolation_stage="data",
    )
    color_bar(page, drawing, axes, style)


def _centre(
    page: Page,
    axes: Axes,
    values: NDArray[np.float64],
    grid: tuple[int, int],
    low: float,
    style: Style,
) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = grid
    row, column = rows // 2, columns // 2
    frame_image(
        axes, f"cosine with the patch at row {row}, column {column}", style, "column", "row"
    )
    of_centre = values[row * columns + column].reshape(grid)
    drawing = axes.imshow(of_centre, cmap=_COLORMAP, vmin=low, vmax=1.0, interpolation="nearest")
    axes.locator_params(integer=True)
    axes.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2)
    )
    color_bar(page, drawing, axes, style)


def _planes(
    page: Page,
    axes: Sequence[Axes],
    plane: Plane,
    grid: tuple[int, int],
    style: Style,
) -> None:
    points, share = plane
    rows_and_columns = np.indices(grid).reshape(2, -1)
    size = float(np.clip(9000 / len(points), 6, 42))
    for plot, side, colors in zip(axes, ("row", "column"), rows_and_columns, strict=True):
        frame(
            plot,
            f"two principal components, colored by {side}",
            style,
            f"component 1 ({share[0]:.0%} of the variance)",
            f"component 2 ({share[1]:.0%})",
        )
        drawing = plot.scatter(
            points[:, 0], points[:, 1], c=colors, cmap=_COLORMAP, s=size, linewidths=0
        )
        plot.set_box_aspect(1)
        plot.locator_params(nbins=5)
        color_bar(page, drawing, plot, style)


def _same_limits(axes: Axes, planes: Sequence[Plane]) -> None:
    points = np.concatenate([points for points, _ in planes])
    low, high = points.min(0), points.max(0)
    margin = np.maximum((high - low) * 0.06, 1e-9)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
