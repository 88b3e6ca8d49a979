"""Settings of the methods that run a model many times for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from fastcam.errors import InputError

Baseline = Literal["auto", "black", "zero", "mean", "blur"]


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """How gradients are smoothed and integrated, and how parts of an image are covered.

    - ``baseline``: what stands for an image without content: a "black" pixel; "zero" in the model's
      input, which is the mean of the training images; the image's own "mean" of each channel; the
      image "blur"red. "auto": black for integrated gradients, zero for occlusion and RISE
    - ``black``: a black pixel (c,) as the model's input has it; empty: zero
    - ``steps``: of the path of integrated gradients
    - ``samples``, ``noise``: of SmoothGrad, how many noisy images, and the standard deviation of
      the noise as a share of the image's range of values
    - ``masks``, ``cells``, ``keep``: of RISE, how many masks, how many cells they have along each
      side, and the share of the cells that stays visible
    - ``occlusion_size``, ``occlusion_stride``: side of the window that covers a part, and its step,
      in pixels of the model's input; 0: a seventh of each side, and half the window (in volumes the
      window)
    - ``pass_size``: covered images in one forward pass
    - ``multilabel``: whether outputs are independent, so that probabilities are sigmoids
    - ``seed``: the same gives the same noise and the same masks

    Raises InputError for values out of range.
    """

    baseline: Baseline = "auto"
    black: tuple[float, ...] = ()
    steps: int = 32
    samples: int = 25
    noise: float = 0.15
    masks: int = 1000
    cells: int = 7
    keep: float = 0.5
    occlusion_size: int = 0
    occlusion_stride: int = 0
    pass_size: int = 16
    multilabel: bool = False
    seed: int = 0

    def of_run(self, black: Sequence[float], pass_size: int, task: str) -> MethodSettings:
        """The same with what a run knows: its black pixel, its batches and its task."""
        return replace(
            self, black=tuple(black), pass_size=pass_size, multilabel=task == "multilabel"
        )

    def __post_init__(self) -> None:
        if self.baseline not in get_args(Baseline):
            raise InputError(
                f"--baseline {self.baseline!r} is not known: use one of "
                f"{', '.join(get_args(Baseline))}"
            )
        for option, number, least in (
            ("steps", self.steps, 1),
            ("samples", self.samples, 1),
            ("masks", self.masks, 2),
            ("mask-cells", self.cells, 1),
            ("occlusion-size", self.occlusion_size, 0),
            ("occlusion-stride", self.occlusion_stride, 0),
            ("batch-size", self.pass_size, 1),
            ("seed", self.seed, 0),
        ):
            if number < least:
                raise InputError(f"--{option} {number} is too small: it must be at least {least}")
        if not 0.0 < self.noise < float("inf"):
            raise InputError(f"--noise {self.noise}: must be above 0")
        if not 0.0 < self.keep < 1.0:
            raise InputError(f"--mask-keep {self.keep}: must be between 0 and 1")
        if 0 < self.occlusion_size < self.occlusion_stride:
            raise InputError(
                f"--occlusion-stride {self.occlusion_stride} is more than --occlusion-size "
                f"{self.occlusion_size}: pixels between the windows would never be covered"
            )
