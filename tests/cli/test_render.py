"""Options of ``fastcam render`` that are wrong, and what they are called in the message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from fastcam import api, spec

Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mode", "all"), ["--mode", "best_slice"]),
        (("--scale", "log"), ["--scale", "cohort"]),
        (("--format", "bmp"), ["--format", "webp"]),
        (("--language", "de"), ["--language", "zh"]),
        (("--top-k", "many"), ["--top-k", "valid integer"]),
        (("--colormap", "rainbow"), ["--colormap 'rainbow'", "viridis"]),
        (("--heat-alpha", "1.5"), ["--heat-alpha 1.5", "between 0 and 1"]),
        (("--heat-alpha", "nan"), ["--heat-alpha nan"]),
        (("--top-k", "-1"), ["--top-k -1", "at least 0"]),
        (("--panel-size", "8"), ["--panel-size 8", "at least 32"]),
        (("--panel-size", "100000"), ["--panel-size 100000", "at most 8192"]),
        (("--max-samples", "0"), ["--max-samples 0", "at least 1"]),
        (("--offset", "-1"), ["--offset -1", "at least 0"]),
        (("--workers", "0"), ["--workers 0", "at least 1"]),
        (("--every-slice",), ["--every-slice needs --mode all_slices"]),
        (("--frame", "crop"), ["--frame 'crop'", "mask-crop:SIDE"]),
        (("--slices", "first:3"), ["--slices 'first:3'", "middle:COUNT"]),
        (("--font", "/no/such/font.ttf"), ["--font /no/such/font.ttf", "no such file"]),
        (("--scheduler", "nowhere"), ["--scheduler nowhere", "tcp://host:8786"]),
    ],
)
def test_wrong_options(
    render: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...],
    words: list[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("NO_COLOR", "1")
    outcome = render(*options)
    assert outcome.code == 2, outcome
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_crop_needs_masks(render: Call) -> None:
    outcome = render("--frame", "mask-crop:96", mask_dir=None)
    assert outcome.code == 2
    assert "--mask-dir" in outcome.err


def test_every_choice_is_in_the_help(fastcam: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = fastcam("render", "--help").out
    for kind in (spec.Mode, spec.Scale, spec.Blend, spec.Theme, spec.Language, spec.PictureFormat):
        assert all(choice in said for choice in get_args(kind))
    assert all(colormap in said for colormap in spec.COLORMAPS)


def test_options_and_keywords_have_one_name(fastcam: Call) -> None:
    import inspect

    from fastcam.cli.render_command import render as command

    options = set(inspect.signature(command).parameters) - {"as_json"}
    options = {{"patient": "patients", "method": "methods", "layer": "layers"}.get(o, o)
               for o in options}  # fmt: skip
    keywords = set(inspect.signature(api.render).parameters) - {"progress"}
    assert options == keywords
    for name in options & keywords - {"results", "root_dir", "output_dir"}:
        default = inspect.signature(command).parameters[name].default
        assert default == inspect.signature(api.render).parameters[name].default
