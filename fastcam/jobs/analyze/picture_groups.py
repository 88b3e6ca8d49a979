"""The figures of an analysis by image, as its page shows them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from fastcam.jobs.analyze.item import figure_paths, is_right, models_heading
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.jobs.render.picture_page import PICTURES, PictureGroup


def picture_groups(
    task: AnalysisTask, report: Analysis, indices: Sequence[int], finished: Container[str]
) -> Iterator[PictureGroup]:
    """The figures of many images together, then those of each of the images at ``indices`` in the
    store, as far as they are ``finished``."""
    pictures = [name for name in report.files if name.endswith(PICTURES)]
    if pictures:
        yield PictureGroup("all images", "", None, pictures, of_case=False)
    for index in indices:
        header = task.store.headers[index]
        heading = models_heading(task, index)
        # The layers beside each other stand for the image, then each by itself.
        paths = [path for path in figure_paths(task, index) if path in finished]
        paths.sort(key=lambda path: path != task.naming.layer_figure(index))
        yield PictureGroup(header.id, heading.verdict, is_right(task.classes, header), paths)
