"""``fastcam help``, and the two levels of ``--help``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption

from fastcam.cli import help_levels
from fastcam.cli.main import app
from fastcam.cli.terminal_page import print_markdown

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on which no option is cut in two."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def options_of(command: str) -> dict[str, str]:
    """The options of a command: name of the parameter -> ``--option``."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return {
        str(parameter.name): max(parameter.opts, key=len)
        for parameter in group.commands[command].params
        if isinstance(parameter, TyperOption)
    }


def listed(text: str) -> set[str]:
    """The options that a help lists, each at the start of a line of a panel."""
    return set(re.findall(r"^│ (?:[* ]  )?(--[\w-]+)", text, re.MULTILINE))


def test_topics_are_the_pages(fastcam: Call) -> None:
    outcome = fastcam("help")
    assert outcome.code == 0
    names = [line.split()[0] for line in outcome.out.splitlines()]
    assert names == sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "index")
    assert "Run your own model" in outcome.out


@pytest.mark.parametrize("topic", ["own-model", "OWN_MODEL"])
def test_a_page_is_printed(fastcam: Call, topic: str) -> None:
    outcome = fastcam("help", topic)
    assert outcome.code == 0
    assert outcome.out.startswith("# Run your own model")
    assert "`fastcam explain` (`fastcam help explain`)" in outcome.out
    assert ".md)" not in outcome.out


def test_comments_for_the_site_are_left_out(fastcam: Call) -> None:
    assert "<!--" not in fastcam("help", "memory-and-speed").out


def test_an_unknown_topic(fastcam: Call) -> None:
    outcome = fastcam("help", "clusters")
    assert outcome.code == 2
    assert outcome.err.startswith("fastcam: help clusters: no such topic; there are cluster")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_on_a_terminal(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = page.read_text(encoding="utf-8")
    print_markdown(text)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    code = [f"    {line}".rstrip() for line in code_lines(text)]
    assert set(code) <= set(lines), "each line can be copied"
    assert not [line for line in lines if len(line) > 80 and line not in code]
    assert "".join(lines).count("…") == text.count("…"), "nothing is cut off"


def code_lines(text: str) -> list[str]:
    """The lines of a page's code blocks."""
    blocks = re.findall(r"^( *)```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [line.removeprefix(indent) for indent, block in blocks for line in block.splitlines()]


def test_the_help_of_a_command_is_a_topic_too(fastcam: Call) -> None:
    assert fastcam("help", "infer").out == fastcam("infer", "--help").out
    assert fastcam("help", "explain").out.startswith("# Explain"), "a page goes before"
    outcome = fastcam("help", "infr")
    assert (outcome.code, outcome.err) == (
        2,
        "fastcam: help infr: no such topic; there are infer\n",
    )


def test_topics_are_completed() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands["help"]
    offered = command.params[0].shell_complete(typer.Context(command), "own")
    assert [item.value for item in offered] == ["own-model"]


@pytest.mark.parametrize("command", [*help_levels.FIRST_OPTIONS, "export", "inspect", "status"])
def test_texts_of_options_are_shown_as_they_are(fastcam: Call, command: str) -> None:
    """No word is taken for a style or an emoji."""
    shown = fastcam(command, "--help-all" if command in help_levels.FIRST_OPTIONS else "--help").out
    words = "".join(re.sub(r"[│\n]", " ", shown).split())
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    helps = [getattr(parameter, "help", None) for parameter in group.commands[command].params]
    assert not [text for text in helps if text and "".join(text.split()) not in words]


@pytest.mark.parametrize("command", help_levels.FIRST_OPTIONS)
def test_help_has_ten_options_and_says_how_many_there_are(fastcam: Call, command: str) -> None:
    first = help_levels.FIRST_OPTIONS[command]
    options = options_of(command)
    assert len(first) == 10
    assert set(first) <= options.keys()
    text = fastcam(command, "--help").out
    assert len(listed(text)) == 12, "ten, --help-all and --help"
    for name in first:
        assert re.search(rf"^│[ *]*(--[\w-]+,)?{options[name]}\b", text, re.MULTILINE), name
    rest = len(options) - 1 - len(first)
    assert f"{rest} more options: fastcam {command} --help-all" in text


@pytest.mark.parametrize("command", ["explain", "evaluate"])
def test_help_all_has_every_option(fastcam: Call, command: str) -> None:
    outcome = fastcam(command, "--help-all")
    assert outcome.code == 0
    for name, option in options_of(command).items():
        assert option in outcome.out, name
    assert "more options" not in outcome.out


def test_paragraphs_wrap_as_prose(fastcam: Call) -> None:
    lines = fastcam("explain", "--help").out.splitlines()
    assert max(len(line.rstrip()) for line in lines if not line.startswith(("│", "╭", "╰"))) > 120


def test_completion_can_be_installed(fastcam: Call) -> None:
    assert "--install-completion" in fastcam("--help").out
