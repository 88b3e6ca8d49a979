from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import ImageFont

from fastcam.errors import InputError
from fastcam.figures import fonts

WQY = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
needs_wqy = pytest.mark.skipif(not WQY.is_file(), reason="fonts-wqy-zenhei is not installed")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose font folder is the one returned."""
    monkeypatch.setattr(fonts, "_installed", lambda: sorted(tmp_path.rglob("*.tt?")))
    return tmp_path


@pytest.mark.parametrize("bold", [True, False])
def test_dejavu_is_there_without_matplotlib_being_imported(bold, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    font = ImageFont.truetype(fonts.dejavu(bold), 20)
    assert font.getname() == ("DejaVu Sans", "Bold" if bold else "Book")
    assert "matplotlib" not in sys.modules


def test_covers():
    plain = fonts.dejavu(bold=False)
    assert fonts.covers(plain, "A")
    assert fonts.covers(plain, "é")
    assert fonts.covers(plain, "Ж")
    assert not fonts.covers(plain, "患")
    assert not fonts.covers(plain, "\U0001f9e0")


def test_nothing_more_is_asked_when_dejavu_has_it_all(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("looked for fonts"))
    assert fonts.chain("abc é Ж ñ") == (fonts.dejavu(bold=False),)


@needs_wqy
def test_an_installed_font_with_the_characters_is_found():
    found = fonts.chain("患者")
    assert len(found) == 2
    assert fonts.covers(found[1], "患")
    assert fonts.covers(found[1], "者")


@needs_wqy
def test_the_font_named_comes_before_the_installed_ones(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("looked for fonts"))
    assert fonts.chain("患者", WQY) == (fonts.dejavu(bold=False), WQY)


def test_characters_that_no_font_has_are_no_error(nothing_installed):
    assert fonts.chain("患者 \U0001f9e0") == (fonts.dejavu(bold=False),)


def test_a_broken_font_among_the_installed_is_passed_over(nothing_installed):
    (nothing_installed / "cjk.ttf").write_bytes(b"no font at all")
    assert fonts.chain("患") == (fonts.dejavu(bold=False),)


def test_a_broken_font_that_was_named_is_refused(tmp_path):
    bad = tmp_path / "my.ttf"
    bad.write_bytes(b"no font at all")
    with pytest.raises(InputError, match=r"--font .*my\.ttf: not a font"):
        fonts.chain("abc", bad)


def test_likely_fonts_are_opened_first(monkeypatch, tmp_path):
    for name in ("aaa.ttf", "zz/NotoSansCJK.ttc", "bbb.otf", "readme.txt"):
        (tmp_path / ".fonts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".fonts" / name).touch()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    own = [p.name for p in fonts._installed() if tmp_path in p.parents]
    assert own == ["NotoSansCJK.ttc", "aaa.ttf", "bbb.otf"]
