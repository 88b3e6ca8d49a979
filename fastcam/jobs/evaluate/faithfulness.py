"""Are an evaluation's maps to be believed? Curves and the randomisation check, for some images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcam.jobs.evaluate.metrics.evaluation import Evaluation, as_json
from fastcam.options import Axes, MapChoice
from fastcam.read.inputs.inputs import Item
from fastcam.run.files import write_bytes, write_text
from fastcam.run.progress import Progress
from fastcam.store.map_rows import choose_rows
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fastcam.attribution.engines import Engine
    from fastcam.attribution.request import MapRequest
    from fastcam.inference.predictions import Task
    from fastcam.read.inputs.preprocess import Preprocessing

JSON, PAGE = "faithfulness.json", "faithfulness.png"
# The images are drawn by it: the same set gives the same ones.
_SEED = 0


def measure_trust(
    model: nn.Module,
    store: MapStore,
    found: Evaluation,
    spec: Preprocessing,
    wanted: MapRequest,
    task: Task,
    axes: Axes,
    count: int,
    output_dir: Path,
    progress: Progress,
) -> tuple[list[Path], list[str]]:
    """Deletion, insertion and the randomisation check of the first map, on ``count`` images chosen
    at random: ``faithfulness.json`` and ``.png``, and what they say in words."""
    import torch

    from fastcam.attribution.engines import build_engine
    from fastcam.attribution.faithfulness.parameter_randomization import randomise_layers
    from fastcam.attribution.faithfulness.perturbation_curves import faithfulness
    from fastcam.inference.loader import Inputs, stacked
    from fastcam.jobs.evaluate.metrics.faithfulness import faithfulness_summary
    from fastcam.jobs.evaluate.plots.faithfulness import faithfulness_page

    row = choose_rows(store, MapChoice())[0]
    rng = np.random.default_rng(_SEED)
    places = [case.place - 1 for case in found.cases]
    drawn = sorted(rng.permutation(places)[:count].tolist())
    headers = [store.headers[place] for place in drawn]
    items = [Item(header.id, header.group, header.source) for header in headers]
    inputs = Inputs(items, spec, axes)
    loaded = [inputs[at] for at in range(len(items))]
    kept = [at for at, entry in enumerate(loaded) if entry.tensor is not None]
    if not kept:
        return [], ["faithfulness: none of the images can be read any more"]
    where = next(model.parameters()).device
    images = stacked(loaded, where)
    values = np.stack([row.read(store, drawn[at]) for at in kept])
    # What lowers the output changes it as well when it is deleted.
    maps = torch.from_numpy(np.abs(values) if row.signed else values).to(where)
    targets = _targets(store, [drawn[at] for at in kept], where)

    def engine_of(other: nn.Module) -> Engine:
        return build_engine(other, wanted)

    curves = _counted(
        progress, "faithfulness", len(kept),
        lambda told: faithfulness(model, images, maps, targets, task=task, told=told),
    )  # fmt: skip
    randomised = _counted(
        progress, "randomised layers", None,
        lambda told: randomise_layers(
            model, engine_of, images, map_name=row.array, targets=targets, told=told
        ),
    )  # fmt: skip
    content = faithfulness_summary(curves, randomised)
    content = {"map": row.caption, **content, "ids": [items[at].id for at in kept]}
    write_text(output_dir / JSON, as_json(content))
    title = f"{row.caption}, {len(kept)} images"
    write_bytes(output_dir / PAGE, [faithfulness_page(curves, randomised, title)])
    verdicts: list[str] = content.get("verdicts", [])
    return [output_dir / JSON, output_dir / PAGE], verdicts


def _targets(store: MapStore, places: list[int], where: Any) -> Tensor | None:
    """The outputs that the maps explain; None for maps of no output."""
    import torch

    found = [store.headers[place].targets for place in places]
    if any(len(targets) == 0 for targets in found):
        return None
    return torch.tensor([int(targets[0]) for targets in found], device=where)


def _counted(
    progress: Progress, what: str, total: int | None, run: Callable[[Callable[[int], None]], Any]
) -> Any:
    """``run`` with progress, where the number of steps is known before."""
    if total is None:
        progress.note(f"measuring {what}")
        return run(lambda done: None)
    progress.begin(what, total)
    try:
        return run(progress.advance)
    finally:
        progress.end()
