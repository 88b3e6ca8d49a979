from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from fastcam_kernels.colormap import names

from fastcam import options
from fastcam.errors import InputError
from fastcam.jobs.render.fingerprint import style_fingerprint
from fastcam.options import Selection, Sources, Style

HERE = Sources(Path("images"))


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (Style, {"colormap": "hot"}, ["--colormap 'hot'", "jet", "viridis"]),
        (Style, {"blend": "full"}, ["--blend 'full'", "auto, flat, heat"]),
        (Style, {"scale": "volume"}, ["--scale 'volume'", "slice, patient, cohort, rank"]),
        (Style, {"theme": "blue"}, ["--theme 'blue'"]),
        (Style, {"language": "fr"}, ["--language 'fr'"]),
        (Style, {"format": "bmp"}, ["--format 'bmp'", "png, jpg, webp"]),
        (Style, {"heat_alpha": 1.01}, ["--heat-alpha 1.01", "between 0 and 1"]),
        (Style, {"heat_alpha": -0.1}, ["--heat-alpha -0.1"]),
        (Style, {"heat_alpha": float("nan")}, ["--heat-alpha nan"]),
        (Style, {"top_k": -1}, ["--top-k -1"]),
        (Style, {"panel_size": 31}, ["--panel-size 31", "at least 32"]),
        (Style, {"panel_size": 8193}, ["--panel-size 8193", "at most 8192"]),
        (Style, {"font": Path("no.ttf")}, ["--font no.ttf", "no such file"]),
        (Selection, {"mode": "all"}, ["--mode 'all'", "best_slice, all_slices"]),
        (Selection, {"offset": -1}, ["--offset -1"]),
        (Selection, {"max_samples": 0}, ["--max-samples 0", "at least 1"]),
        (Selection, {"every_slice": True}, ["--every-slice needs --mode all_slices"]),
        (Sources, {"root_dir": Path(), "axes": "yxz"}, ["--axes 'yxz'", "zyx, xyz"]),
        (Sources, {"root_dir": Path(), "orient": "no"}, ["--orient 'no'"]),
        (Sources, {"root_dir": Path(), "frame": "mask-crop:9"}, ["mask-crop:9", "--mask-dir"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(kind, given, words):
    with pytest.raises(InputError) as raised:
        kind(**given)
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)


def test_settings_at_their_limits_are_fine():
    Style(heat_alpha=0.0, top_k=0, panel_size=32)
    Style(heat_alpha=1.0, panel_size=8192)
    Selection(max_samples=1, every_slice=True, mode="all_slices")
    Sources(Path(), Path(), frame="mask-crop:244")


def test_the_colour_tables_are_those_there_are():
    assert set(options.COLORMAPS) == set(names())


def test_settings_never_change():
    with pytest.raises(FrozenInstanceError):
        Style().top_k = 4  # type: ignore[misc]


OTHER: dict[str, Any] = {
    "colormap": "gray",
    "heat_alpha": 0.4,
    "blend": "heat",
    "scale": "rank",
    "top_k": 4,
    "panel_size": 300,
    "theme": "dark",
    "language": "zh",
    "font": Path(__file__),
    "format": "jpg",
    "root_dir": Path("other"),
    "mask_dir": Path("masks"),
    "axes": "xyz",
    "orient": "array",
    "frame": "mask-crop:9",
    "slices": "middle:3",
    "volume": "2",
    "show_channel": 2,
    "window": (40.0, 80.0),
    "style": "paper",
    "class_names": ("Stable", "Unstable"),
    "aspect": "pixels",
    "font_scale": 1.5,
    "width_mm": 90.0,
    "dpi": 600.0,
    "panels": ("heat",),
}


@pytest.mark.parametrize("name", [f.name for f in (*fields(Style), *fields(Sources))])
def test_every_setting_of_a_picture_tells_jobs_apart(name):
    usual = Sources(Path("images"), Path("other-masks"))
    before = style_fingerprint("abc", usual, Style())
    if name in {f.name for f in fields(Style)}:
        after = style_fingerprint("abc", usual, replace(Style(), **{name: OTHER[name]}))
    else:
        after = style_fingerprint("abc", replace(usual, **{name: OTHER[name]}), Style())
    assert before != after
    assert [key for key in after if before.get(key) != after[key]] == [name]


def test_another_results_file_is_another_job_and_the_same_folder_by_another_name_is_not(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert style_fingerprint("a" * 64, HERE, Style()) != style_fingerprint("b" * 64, HERE, Style())
    same = Sources(tmp_path / "x" / ".." / "images")
    assert style_fingerprint("a", HERE, Style()) == style_fingerprint("a", same, Style())
    json.dumps(style_fingerprint("a", HERE, Style()), default=str)


def test_without_a_volume_the_record_is_that_of_folders_from_before_there_was_a_choice():
    assert "volume" not in style_fingerprint("a", HERE, Style())


def test_a_style_has_its_table_and_its_blend_unless_others_are_given():
    assert (Style().colormap, Style().patch_blend, Style().map_blend) == ("jet", "heat", "flat")
    classic = Style(style="classic")
    assert (classic.colormap, classic.patch_blend, classic.map_blend) == ("jet", "flat", "flat")
    assert (Style().aspect, classic.aspect) == ("mm", "pixels")
    assert Style(style="classic", aspect="mm").aspect == "mm"
    paper = Style(style="paper")
    assert (paper.colormap, paper.patch_blend, paper.map_blend) == ("viridis", "heat", "flat")
    assert Style(style="paper", colormap="inferno").colormap == "inferno"
    assert Style(style="classic", blend="heat").patch_blend == "heat"
    assert Style(blend="flat").patch_blend == "flat"


def test_windows_by_name_and_by_numbers():
    assert options.parse_window("window", "brain") == (40.0, 80.0)
    assert options.parse_window("window", "-600,1500") == options.parse_window("window", "lung")
    assert options.parse_window("window", None) is None
    for text in ("brian", "40", "40,0", "40,-1", "nan,3", "1,inf", "1,2,3", ""):
        with pytest.raises(InputError, match="--window"):
            options.parse_window("window", text)


def test_class_names_stand_for_their_numbers():
    style = Style(class_names=("Stable", "Unstable"))
    assert [style.class_text(label) for label in (0, 1, 2, -1)] == ["Stable", "Unstable", "2", "-1"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("panels", ("heat", "slice"), "--panels 'slice' is not known"),
        ("panels", ("heat", "heat"), "--panels heat,heat: names a panel twice"),
        ("width_mm", 20.0, "--width-mm 20.0: must be 30 to 1000"),
        ("font_scale", float("nan"), "--font-scale nan: must be 0.5 to 4"),
        ("dpi", 0.0, "--dpi 0.0: must be 1 to 10000"),
    ],
)
def test_paper_that_no_figure_can_have(name, value, said):
    with pytest.raises(InputError, match=said):
        Style(**{name: value})


def test_what_a_file_says_of_its_size():
    assert (Style().file_dpi, Style(style="classic").file_dpi, Style(dpi=72.0).file_dpi) == (
        300.0,
        None,
        72.0,
    )
    assert Style(format="pdf").paper_width == 180.0
    assert Style(format="svg", width_mm=90.0).paper_width == 90.0
    assert Style().paper_width is None
