"""What an infer job did, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastcam.run.failures import Report, exit_code, failure_lines
from fastcam.run.records import Failure


@dataclass(kw_only=True)
class InferReport(Report):
    """What a run did.

    - ``output_dir``, ``store``: where the results are
    - ``images``: how many there are, or slices
    - ``volumes``: how many volumes these are the slices of; 0 where they are no slices
    - ``already``: how many of them an earlier run had done
    - ``done``, ``failed``: how many this run has done, and how many failed
    - ``seconds``: what the run took
    - ``device``, ``precision``: where the model ran, and in which arithmetic
    - ``sources``: the options by which ``fastcam render`` finds the images, where the store doesn't
      say
    - ``notes``: lines that were logged on the way
    - ``failures``: the images that failed, and what is odd about others
    - ``figures_failed``: whether figures of them were asked for, and weren't all drawn
    """

    output_dir: Path
    store: Path
    images: int = 0
    volumes: int = 0
    already: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    sources: str = ""
    notes: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    figures_failed: bool = False

    def __repr__(self) -> str:
        return (
            f"<inference into {self.store}: {self.done} images done, {self.already} already there, "
            f"{self.failed} failed>"
        )

    @property
    def images_per_second(self) -> float:
        """Images done by this run for each second of it."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed, or figures of them."""
        code = exit_code(self.failures, bool(self.done or self.already))
        return 3 if self.figures_failed and code == 0 else code


def as_dict(report: InferReport) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    return {
        "output_dir": str(report.output_dir),
        "store": str(report.store),
        "exit_code": report.exit_code,
        "images": report.images,
        **({"volumes": report.volumes} if report.volumes else {}),
        "already_there": report.already,
        "done": report.done,
        "failed": report.failed,
        "seconds": report.seconds,
        "images_per_second": round(report.images_per_second, 2),
        "device": report.device,
        "precision": report.precision,
        "notes": report.notes,
        "troubles": [
            {"level": failure.level, "image": failure.case, "reason": failure.reason}
            for failure in report.failures
        ],
    }


def summary_text(report: InferReport) -> str:
    """A few lines for people: what was done, where it is, and what went wrong."""
    unit = f"slices of {report.volumes} volumes" if report.volumes else "images"
    parts = [f"{report.done} {unit} in {report.seconds:.1f} s"]
    if report.done:
        parts[0] += f" ({report.images_per_second:.1f}/s)"
    parts[0] += f" on {report.device} in {report.precision}"
    if report.already:
        parts.append(f"{report.already} were there already")
    if report.failed:
        parts.append(f"{report.failed} failed")
    lines = [", ".join(parts)]
    lines += failure_lines(report.failures, report.output_dir)
    if report.done or report.already:
        lines.append(
            f"maps: {report.store}; draw them with: fastcam render {report.store} {report.sources}"
            f"--output-dir {report.output_dir / 'figures'}"
        )
    return "\n".join(lines)
