"""What an analysis has left to do: which figures of which images are not on the disk yet."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from fastcam.jobs.analyze.item import figure_paths
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.run.work_items import CaseSlices, WorkItem, figures_of, work_items


@dataclass(frozen=True)
class AnalysisPlan:
    """The images of an analysis and their figures.

    Attributes:
        images: every image with maps, and the numbers of its figures that are left to draw.
        existing: number of figures that an earlier run has finished.
    """

    images: tuple[CaseSlices, ...]
    existing: int

    @property
    def figures(self) -> int:
        """Number of figures that are left to draw."""
        return figures_of(self.images)

    @property
    def items(self) -> Sequence[WorkItem]:
        """The images as work items; those without figures are measured all the same."""
        return work_items(self.images)


def plan_figures(
    task: AnalysisTask, indices: Sequence[int], finished: Container[str]
) -> AnalysisPlan:
    """The plan for the images at ``indices`` in the store, without ``finished`` figures."""
    images, existing = [], 0
    for index in indices:
        paths = figure_paths(task, index)
        missing = tuple(number for number, path in enumerate(paths) if path not in finished)
        existing += len(paths) - len(missing)
        source = str(task.store.headers[index].source)
        images.append(
            CaseSlices(
                case=index,
                slices=missing,
                summary=False,
                image=source,
                image_missing="",
                mask=None,
                mask_missing="",
            )
        )
    return AnalysisPlan(tuple(images), existing)
