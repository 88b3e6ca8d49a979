"""The job of ``fastcam export``: maps of a run store to files on the grid of their sources."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.jobs.export.plan import MapFile, plan_files
from fastcam.jobs.export.report import ExportReport
from fastcam.jobs.export.request import ExportRequest
from fastcam.run.failures import write_failures
from fastcam.run.files import make_folder, remove_leftovers, write_text
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.records import attempt
from fastcam.run.seen_inputs import check_seen
from fastcam.storage.listing import listed
from fastcam.storage.locations import as_path, crowded
from fastcam.store.map_schema import MapAttrs
from fastcam.store.random_weights import has_random_source
from fastcam.store.root import RAW_SCHEMA

RECORD = "export.json"
# What the record says of a model with such weights, beside the settings.
_RANDOM = "random_weights"


def export_maps(request: ExportRequest, progress: Progress | None = None) -> ExportReport:
    """Write what is shown of the chosen maps, float32, not scaled, one file a map.

    Volumes become ``<id>_<method>_<layer>.nii.gz`` on the source's grid and affine, enlarged
    trilinearly; images ``.tif`` or ``.npy`` at the source's size, NaN where the model didn't look;
    patch attention ``<id>_attention.nii.gz``, the heat of each pixel. With ``dcm`` a volume that
    came from DICOM becomes one DICOM Parametric Map. What an export of the same settings wrote
    before is kept. Images and volumes that changed since the model saw them fail, unless they are
    trusted.

    Raises :class:`InputError` before anything is written when an input is unusable; images that
    fail are in the report and in ``failures.csv``.
    """
    progress = progress or NoProgress()
    output_dir = request.output_dir
    files = plan_files(request)
    random = _has_random_weights(request)
    report = ExportReport(output_dir, random)
    settings = _settings(request)
    make_folder(output_dir)
    remove_leftovers(output_dir)
    sizes, inputs = ({}, {}) if request.overwrite else _earlier_files(output_dir, settings)
    progress.begin("maps", len(files))
    sources = {as_path(one.path) for file in files for one in file.seen}
    try:
        with listed(*crowded(sources)):
            for file in files:
                path, seen = output_dir / file.name, _inputs_text(file)
                # Earlier exports don't say what a map was made of.
                is_current = inputs.get(file.name, seen) == seen
                if is_current and file.name in sizes and _is_whole(path, sizes[file.name]):
                    report.already.append(file.name)
                elif (reason := attempt(partial(_write, file, path, report, request))) is not None:
                    report.add_failure(file.place, file.case, reason)
                else:
                    report.written.append(file.name)
                    sizes[file.name], inputs[file.name] = path.stat().st_size, seen
                progress.advance(1)
    finally:
        progress.end()
        remark = {_RANDOM: True} if random else {}
        record = {**settings, **remark, "files": dict(sorted(sizes.items()))}
        record["inputs"] = dict(sorted(inputs.items()))
        write_text(output_dir / RECORD, json.dumps(record, indent=1) + "\n")
    write_failures(output_dir, report.failures)
    return report


def _write(file: MapFile, path: Path, report: ExportReport, request: ExportRequest) -> None:
    if not request.trust_inputs:
        check_seen(file.seen)
    report.add_warnings(file.place, file.case, file.write(path))


def _inputs_text(file: MapFile) -> str:
    """The content of the files that the map was made of, as far as it was recorded: an image that
    changed is run again into the same store."""
    return " ".join(f"{seen.record.size}:{seen.record.checksum}" for seen in file.seen)


def _settings(request: ExportRequest) -> dict[str, Any]:
    """What decides the values in the files."""
    attrs, sources = request.store.attrs, request.sources
    settings = {"store": attrs.sha256[:16], "created": attrs.created}
    settings |= {"axes": sources.axes, "slices": sources.slices}
    if isinstance(attrs, MapAttrs) and attrs.schema >= RAW_SCHEMA:
        settings["sign"] = request.choice.sign or attrs.sign
    # Where none is given the record is that of exports from before there was a choice.
    return settings | ({"volume": sources.volume} if sources.volume is not None else {})


def _has_random_weights(request: ExportRequest) -> bool:
    attrs = request.store.attrs
    if isinstance(attrs, MapAttrs):
        return bool(attrs.settings.get(_RANDOM))
    return has_random_source(attrs.source)


def _is_whole(path: Path, size: int | None) -> bool:
    """Whether a file is there, of the size that was recorded, if one was."""
    return path.is_file() and size in (None, path.stat().st_size)


def _earlier_files(
    folder: Path, settings: dict[str, Any]
) -> tuple[dict[str, int | None], dict[str, str]]:
    """The files that an earlier export of the same settings wrote, and their bytes, None of the
    records that listed names only; and by file what its map was made of."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        files = record.pop("files")
        record.pop(_RANDOM, None)
        inputs = {str(name): str(text) for name, text in record.pop("inputs", {}).items()}
        sizes = dict(files) if isinstance(files, dict) else dict.fromkeys(map(str, files))
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is not the record of an export ({error}); give another --output-dir, or "
            "--overwrite to replace it"
        ) from error
    if record != settings:
        raise InputError(
            f"{folder} holds maps of another store or other settings; give another --output-dir, "
            "or --overwrite to replace them"
        )
    return sizes, inputs
