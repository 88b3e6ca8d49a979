"""What the engines of maps at the input's resolution are built of: model, methods, targets."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from fastcam.attribution.batch_maps import Targets
from fastcam.attribution.layer_names import open_module
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.nonfinite import check_weights


class InputEngine:
    """The settings that gradients and perturbations share; a subclass is a call on a batch.

    ``methods``: names of the subclass's methods. ``targets``: what is explained, as
    :func:`~fastcam.attribution.targets.target_scores` takes it. Raises InputError for a
    model whose weights are not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        methods: Sequence[str],
        *,
        targets: Targets = None,
        settings: MethodSettings | None = None,
    ) -> None:
        self._model = open_module(model)
        check_weights(self._model)
        self._methods = tuple(methods)
        self._targets = targets
        self._settings = settings or MethodSettings()
