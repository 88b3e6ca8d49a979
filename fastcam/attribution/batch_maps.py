"""What every attribution engine takes and gives for a batch, and the logits in a model's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

from torch import Tensor

from fastcam.attribution.outputs import find_answer
from fastcam.errors import InputError
from fastcam.store.map_fields import MapField

# Which outputs a map explains, as :func:`fastcam.attribution.cam.targets.target_scores` takes them.
Targets = None | int | Sequence[int] | Sequence[Sequence[int]] | Tensor | Callable[[Any], Tensor]


@dataclass(frozen=True, eq=False)
class BatchMaps:
    """Maps of a batch of ``b`` images, on the model's device.

    - ``maps``: name to float32 (b, h, w) for one map an image, (b, targets, h, w) for several
      targets, (b, layers, heads, h, w) for attention; volumes have (d, h, w) in place of (h, w)
    - ``output`` (b, k) float32, the model's raw answer: logits, or the values of a regression
    - ``targets`` (b, t) int64, which outputs the maps explain; None where maps have no target
    - ``measures`` (b, m) float32, numbers that an engine takes beside its maps; None if it doesn't
    - ``gates``: dotted path to (b, c) float32, 0 to 1, of each channel gate that maps are made of
    - ``layer_names``: by map with an axis of layers, the dotted paths of the modules along it
    - ``notes``: by map, what figures must say of it; maps of which nothing has to be said are not
      in it
    - ``fields``: by map, where its cells lie in the batch's images; maps whose cells share the
      images out between them are not in it
    """

    maps: dict[str, Tensor]
    output: Tensor
    _: KW_ONLY
    targets: Tensor | None = None
    measures: Tensor | None = None
    gates: dict[str, Tensor] = field(default_factory=dict)
    layer_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    fields: dict[str, MapField] = field(default_factory=dict)


class Engine(Protocol):
    """The contract of every engine: a batch of images in, its maps out.

    ``batch`` (b, c, h, w), or volumes (b, c, d, h, w), float, preprocessed, on the model's device.
    ``targets`` replaces, for this batch, the outputs that the engine was made to explain; maps that
    explain no output (attention) are the same with any. The model is left as it was: its mode, its
    ``requires_grad``, its hooks. Raises InputError for what the model or the batch can't give.
    """

    def __call__(self, batch: Tensor, targets: Targets = None, /) -> BatchMaps: ...


def logits_of(output: Any, count: int | None = None) -> Tensor:
    """The answer (b, k) in whatever a model returned: a tensor, tuple, mapping or dataclass.

    ``count`` is the number of images, by which tensors of another length are told apart. (b,)
    becomes (b, 1). Raises InputError where there is no such tensor in it, or several that could be:
    see :func:`fastcam.attribution.outputs.find_answer`.
    """
    logits = find_answer(output, count=count).tensor
    if logits.ndim == 1:
        logits = logits[:, None]
    if logits.ndim != 2:
        raise InputError(
            f"the model returns a tensor of shape {tuple(logits.shape)}, not (images, outputs); "
            "give a callable target that reduces it to one number an image"
        )
    return logits
