"""Attention made to look at one known place, in any model: where its map has to be highest.

A batch of images with and without a bright square tells which key of a call belongs to that square:
the one that differs most. Every query of the call is then made to look at this key, in what is
recorded of the call; the model itself runs on as it is. Nothing is known of the model, and nothing
of how fastcam places keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.attention import calls, capture
from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.store.map_fields import over_input

# The square's rows and columns, in eighths of the image: away from where it would be transposed,
# or mirrored along an axis.
ROWS, COLUMNS = (1, 2), (6, 7)
# Strides and overlapping patches move what a key is made of by a cell; on a coarser grid than this
# a cell is too much.
_FEWEST_CELLS = 4
# So many images with and without it: in deep layers each of them differs everywhere.
_NOISES = 4
_LARGE = 1000.0
# A map that is planted is so many times as high as its mean, at least.
_CLEAR = 3.0


def marked_images(side: int) -> Tensor:
    """Images (2 n, 3, side, side) of noise, and the same noise again with a bright square."""
    images = torch.randn(_NOISES, 3, side, side, generator=torch.Generator().manual_seed(3))
    marked = images.clone()
    rows, columns = (slice(*(side * end // 8 for end in ends)) for ends in (ROWS, COLUMNS))
    marked[..., rows, columns] += 4
    return torch.cat([images, marked])


@contextmanager
def planted_attention() -> Iterator[None]:
    """While it is open, recorded attention looks at the key that differs most between images."""
    scores_of, weights_of = calls.scores_of, calls.weights_of

    def scores(query: Tensor, key: Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(key) % (2 * _NOISES) == 0:
            half = len(key) // 2
            place = _most_different((key[half:] - key[:half]).norm(dim=-1))
            query, key = torch.ones_like(query), _LARGE * place[..., None].expand_as(key)
        return scores_of(query, key, *args, **kwargs)

    def weights(output: Tensor, axis: int) -> Any:
        if output.ndim > 2 and len(output) % (2 * _NOISES) == 0:
            half = len(output) // 2
            queries = -2 if axis % output.ndim == output.ndim - 1 else -1
            # Of scores, up to a number for each query.
            logs = output.double().clamp(min=1e-30).log()
            change = logs[half:] - logs[:half]
            change = (change - change.mean(axis, keepdim=True)).abs().sum(queries)
            place = _most_different(change)
            output = place.unsqueeze(queries).expand_as(output).float()
        return weights_of(output, axis)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "scores_of", scores)
        patch.setattr(capture, "weights_of", weights)
        yield


def _most_different(change: Tensor) -> Tensor:
    """Of changes (b / 2, ..., m) of keys the place of the largest, taken over heads and images: the
    same for all images (b, ..., m), 1 there and 0 elsewhere. Heads are the second axis of three or
    more; windows, if there are any, come after the images in the first one."""
    with torch.no_grad():
        # Of five axes nobody knows which are the heads; one of them will do.
        summed = change.sum(1, keepdim=True) if change.ndim == 3 else change
        windows = len(change) // _NOISES
        of_image = summed.reshape(_NOISES, windows, *summed.shape[1:]).sum(0)
        place = (of_image == of_image.amax()).float()
        if of_image.median() > of_image.amax() / 2:
            place = torch.zeros_like(place)  # everything differs: which key it is isn't clear
        return place.repeat(2 * _NOISES, *[1] * (place.ndim - 1)).expand(
            2 * len(change), *change.shape[1:]
        )


def planted_peaks(model: nn.Module, side: int) -> dict[str, bool]:
    """By layer that is shown on a grid fine enough, whether its map is highest at the square."""
    images = marked_images(side)
    _normalize(model, images)
    with planted_attention():
        engine = AttentionEngine(model)
        result = engine(images)
    right = {}
    for name, layers in result.layer_names.items():
        values = result.maps[name][1].mean(1).numpy()
        if min(values.shape[1:]) < _FEWEST_CELLS:
            continue
        for layer, of_layer in zip(layers, values, strict=True):
            laid = over_input(of_layer, result.fields.get(name))
            if of_layer.max() <= _CLEAR * of_layer.mean() or not np.isfinite(of_layer).all():
                continue
            # A key may stand for several places.
            places = np.argwhere(laid > 0.99 * max(laid.max(), of_layer.max() / 4))
            right[layer] = len(places) > 0 and all(
                first / size - 1 / cells <= end / 8 and (last + 1) / size + 1 / cells >= start / 8
                for first, last, size, cells, (start, end) in zip(
                    places.min(0),
                    places.max(0),
                    laid.shape,
                    of_layer.shape,
                    (ROWS, COLUMNS),
                    strict=True,
                )
            )
    return right


def _normalize(model: nn.Module, images: Tensor) -> None:
    """Batch normalization by the images' own statistics: random weights let numbers grow from
    layer to layer, until all of an image is the same to a softmax."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        model(images)
    model.eval()
