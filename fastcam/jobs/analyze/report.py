"""What an analysis did and found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fastcam._version import __version__
from fastcam.jobs.analyze.class_comparison import ClassComparison
from fastcam.jobs.analyze.results import ImageResult
from fastcam.report.json_text import json_text
from fastcam.run.failures import Report, exit_code, failure_lines
from fastcam.run.records import Failure

RESULTS, REPORT = "analysis_results.json", "summary_report.txt"


@dataclass(frozen=True, kw_only=True)
class Analysis(Report):
    """The results of all images.

    Attributes:
        output_dir: the folder with everything.
        images: every image that has maps.
        comparison: the classes of the images, compared.
        failures: images that failed, and why.
        files: all that was written besides the images' own figures, relative to ``output_dir``.
        seconds: time that each stage took.
        figures_drawn: number of figures that this run drew.
        figures_existing: number of figures that earlier runs had drawn.
    """

    output_dir: Path
    images: tuple[ImageResult, ...]
    comparison: ClassComparison
    failures: tuple[Failure, ...] = ()
    files: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    figures_drawn: int = 0
    figures_existing: int = 0

    def __repr__(self) -> str:
        classes = ", ".join(f"{entry.name} {entry.n}" for entry in self.comparison.classes)
        by_class = f" ({classes})" if classes else ""
        return f"<analysis of {len(self.images)} images{by_class} in {self.output_dir}>"

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        return exit_code(self.failures, bool(self.images))


def as_dict(report: Analysis) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    errors = [failure for failure in report.failures if failure.level == "error"]
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        "images": len(report.images),
        "failed": len(errors),
        "figures_drawn": report.figures_drawn,
        "figures_already_there": report.figures_existing,
        "classes": {entry.name: entry.n for entry in report.comparison.classes},
        "seconds": dict(report.seconds),
        "results": str(report.output_dir / RESULTS),
        "report": str(report.output_dir / REPORT),
        "troubles": [
            {"level": f.level, "image": f.case, "reason": f.reason} for f in report.failures
        ],
    }


def summary_text(report: Analysis) -> str:
    """A few lines for people: what was done, where it is, and what went wrong."""
    count = len(report.images)
    parts = [f"{count} image{'s' * (count != 1)}, {report.figures_drawn} figures drawn"]
    if report.figures_existing:
        parts.append(f"{report.figures_existing} were there already")
    errors = [failure for failure in report.failures if failure.level == "error"]
    if errors:
        parts.append(f"{len(errors)} failed")
    lines = [f"{', '.join(parts)}, in {sum(report.seconds.values()):.1f} s"]
    without = sum(image.without_box for image in report.images)
    if without:
        lines.append(
            f"{without} of {len(report.images)} images have no such box, and are left out of all "
            "means and comparisons"
        )
    lines += failure_lines(report.failures, report.output_dir)
    lines.append(f"report: {report.output_dir / REPORT}")
    lines.append(f"numbers: {report.output_dir / RESULTS}")
    return "\n".join(lines)


def results_text(report: Analysis, facts: Mapping[str, Any]) -> str:
    """``analysis_results.json``: everything that was found.

    Numbers that don't exist are null; paths are relative to the file's folder.
    """
    content = {
        "fastcam": __version__,
        **facts,
        "grouped_by": report.comparison.grouped_by,
        "images": [_image(image) for image in report.images],
        "classes": {entry.name: asdict(entry) for entry in report.comparison.classes},
        "differences": [asdict(entry) for entry in report.comparison.differences],
        "files": list(report.files),
        "failures": [{"image": t.case, "reason": t.reason} for t in report.failures],
    }
    return json_text(content, indent=2)


def _image(image: ImageResult) -> dict[str, Any]:
    row = asdict(image)
    row["size"] = {"height": image.size[0], "width": image.size[1]}
    for layer in row["layers"].values():
        if layer["feature_statistics"]["center_of_mass_right"] is None:
            # Only halves have them.
            del layer["feature_statistics"]["center_of_mass_right"]
            del layer["feature_statistics"]["peak_right"]
    for name in ("left_share", "right_share", "models_path", "agreement", "box"):
        if not row[name] and row[name] != 0.0:
            del row[name]
    if not row["without_box"]:
        del row["without_box"]
    return row
