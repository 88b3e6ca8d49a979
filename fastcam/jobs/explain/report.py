"""What a job that draws a few images did, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcam.jobs.explain.comparison import Explanation
from fastcam.read.inputs.inputs import Item
from fastcam.run import failures as run_failures
from fastcam.run.failures import Report, failure_line
from fastcam.run.records import Failure


@dataclass(frozen=True)
class FigureReport(Report):
    """What ``fastcam vit`` wrote, and part of what ``fastcam explain`` did.

    - ``figures``: the files that were written
    - ``failures``: the images that failed
    """

    figures: list[Path]
    failures: list[Failure]

    @property
    def exit_code(self) -> int:
        """0 all done, 3 finished but some images failed."""
        return run_failures.exit_code(self.failures, finished=True)

    def lines(self) -> list[str]:
        """The files and the failures, a line each, for people."""
        return [*map(str, self.figures), *map(failure_line, self.failures)]

    def to_dict(self) -> dict[str, Any]:
        """The result that ``--json`` prints."""
        failed = [{"image": failure.case, "reason": failure.reason} for failure in self.failures]
        return {"figures": [str(path) for path in self.figures], "failed": failed}


@dataclass(frozen=True)
class ExplainReport(FigureReport):
    """What ``fastcam explain`` did.

    - ``results``: what each model gave for the images that didn't fail, by the model's label
    """

    results: dict[str, Explanation]

    def to_dict(self) -> dict[str, Any]:
        """The result that ``--json`` prints."""
        models = [
            {
                "label": label,
                "images": list(result.names),
                "prediction": result.prediction.tolist(),
                "maps": {name: list(values.shape) for name, values in result.maps.items()},
            }
            for label, result in self.results.items()
        ]
        return {**super().to_dict(), "models": models}


def image_failure(number: int, item: Item, reason: str) -> Failure:
    """The failure of the image with this number, from 0."""
    return Failure("error", number + 1, item.id, None, 1, reason)
