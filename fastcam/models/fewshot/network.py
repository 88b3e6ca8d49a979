"""The few-shot Vision Transformer: a plain one, mixed attention after it, and reconstruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fastcam.errors import InputError
from fastcam.models.fewshot.blocks import ClassTokenUpdate, Fusion, MixedBlock, OverlapBlock
from fastcam.models.fewshot.reconstruction import MutualReconstruction, RidgeReconstruction
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.vit import VisionTransformer


class FewshotViT(VisionTransformer):
    """Images (b, c, h, w) float to logits (b, num_classes), read from the class token; without a
    head (num_classes 0) to its features (b, dim). ``compare`` classifies by a few examples.

    The trunk is ``VisionTransformer`` with its keys, so that its checkpoints start the training.
    After its blocks the patches, on their grid, go through what is switched on, in this order:
    ``mixed`` (use_mab), ``overlap`` (use_ocab), ``fusion`` (use_drff). These touch patches only;
    in ``read`` the class token then attends to all of them, so that it knows the image as the
    last block left it. With everything off there is no ``read``: the trunk's own attention does it.
    """

    def __init__(self, settings: FewshotSettings) -> None:
        super().__init__(settings.trunk)
        self.fewshot = settings
        dim = settings.trunk.dim
        stages: dict[str, nn.Module] = {}
        if settings.use_mab:
            depth = range(settings.mixed_depth)
            stages["mixed"] = nn.Sequential(*(MixedBlock(settings, index) for index in depth))
        if settings.use_ocab:
            stages["overlap"] = OverlapBlock(settings)
        if settings.use_drff:
            stages["fusion"] = Fusion(dim)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self._stages = tuple(stages)
        self._examples: list[Tensor] = []
        if stages:
            self.read = ClassTokenUpdate(settings)
        self.descriptor = nn.Linear(dim, dim)
        self.reconstruct: nn.Module = (
            RidgeReconstruction()
            if settings.reconstruction == "ridge"
            else MutualReconstruction(dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.encode(x)
        if self._examples:
            query = self.describe(tokens)
            logits_of = [self.reconstruct(support[None], query) for support in self._examples]
            logits = torch.cat(logits_of, dim=1)
            return logits - logits.mean(1, keepdim=True) if len(logits_of) > 1 else logits
        out: Tensor = self.head(tokens[:, 0])
        return out

    @contextmanager
    def support_set(self, support: Sequence[Tensor]) -> Iterator[None]:
        """While it is open the model's output is ``compare``'s logits (b, classes) less their mean.

        Probabilities are the same, and what explains a class explains it against the others. (A
        logit alone is minus a distance, whose gradient is lowest where the class fits best.)

        ``support``: (k, c, h, w) of each class; k may differ.
        """
        with torch.no_grad():
            examples = [self.features(images).flatten(0, 1) for images in support]
        before, self._examples = self._examples, examples
        try:
            yield
        finally:
            self._examples = before

    def encode(self, x: Tensor) -> Tensor:
        """Normed tokens (b, prefix + patches, dim), class token first, patches row by row."""
        tokens = self.blocks(self._with_positions(self.patch_embed(x)))
        if self._stages:
            prefix = tokens[:, : self.num_prefix_tokens]
            patches = tokens[:, self.num_prefix_tokens :]
            grid = patches.reshape(len(x), *self.fewshot.trunk.grid, -1)
            for name in self._stages:
                grid = self.get_submodule(name)(grid)
            tokens = self.read(torch.cat([prefix, grid.flatten(1, 2)], dim=1))
        encoded: Tensor = self.norm(tokens)
        return encoded

    def features(self, x: Tensor) -> Tensor:
        """What reconstruction compares: (b, places, dim), row by row over the grid of patches."""
        return self.describe(self.encode(x))

    def describe(self, tokens: Tensor) -> Tensor:
        """``features`` from the tokens of ``encode``, over √dim as FRN's are."""
        described: Tensor = self.descriptor(tokens[:, self.num_prefix_tokens :])
        scaled: Tensor = described / described.shape[-1] ** 0.5
        return scaled

    def compare(self, support: Tensor, query: Tensor) -> Tensor:
        """Logits (b, classes) of ``query`` images (b, c, h, w) by ``support`` images
        (classes, k, c, h, w). InputError where one of them is missing."""
        if support.ndim != 5 or 0 in support.shape[:2] or query.ndim != 4:
            raise InputError(
                f"few-shot comparison takes support images (classes, k, c, h, w), at least one a "
                f"class, and query images (b, c, h, w), not {tuple(support.shape)} and "
                f"{tuple(query.shape)}"
            )
        classes, k = support.shape[:2]
        described = self.features(torch.cat([support.flatten(0, 1), query]))
        examples, queries = described[: classes * k], described[classes * k :]
        examples = examples.reshape(classes, -1, examples.shape[-1])
        logits: Tensor = self.reconstruct(examples, queries)
        return logits
