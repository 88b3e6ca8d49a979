"""Groups of options: a field each, defaults of the group or of the command, the group passed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from fastcam.cli.option_groups import expand_groups, keywords


@dataclass(frozen=True, kw_only=True)
class Pair:
    first: Annotated[int, typer.Option(min=1, help="The first of two.")] = 1
    last: Annotated[str, typer.Option(help="The last of two.")] = "z"


_OTHER = Pair(last="y")
seen: list[tuple[str, Pair, bool]] = []


@expand_groups
def command(
    *,
    name: Annotated[str, typer.Argument()],
    pair: Pair = _OTHER,
    flag: Annotated[bool, typer.Option("--flag")] = False,
) -> None:
    """Says what it got."""
    seen.append((name, pair, flag))


@expand_groups
def plain(*, pair: Pair) -> None:
    seen.append(("", pair, False))


def run(function: object, *arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(function)  # type: ignore[type-var]
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a",), ("a", Pair(first=1, last="y"), False)),
        (("b", "--first", "3", "--flag"), ("b", Pair(first=3, last="y"), True)),
        (("c", "--last", "x"), ("c", Pair(first=1, last="x"), False)),
    ],
)
def test_fields_are_options(arguments: tuple[str, ...], expected: tuple[str, Pair, bool]) -> None:
    seen.clear()
    assert run(command, *arguments) == (0, "")
    assert seen == [expected]


def test_without_a_default_the_groups_own_hold() -> None:
    seen.clear()
    assert run(plain) == (0, "")
    assert seen == [("", Pair(), False)]


def test_limits_and_help_are_those_of_the_fields() -> None:
    assert run(command, "a", "--first", "0")[0] == 2
    code, text = run(command, "--help")
    assert code == 0
    words = " ".join(text.split())
    assert "Says what it got." in words
    assert (
        words.index("The first of two.") < words.index("The last of two.") < words.index("--flag")
    )


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A group that says itself what its keywords are."""

    count: Annotated[str, typer.Option()] = "1"

    def keywords(self) -> dict[str, Any]:
        return {"count": int(self.count), "pair": Pair()}


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A group of groups, and an option between them."""

    pair: Pair = field(default_factory=lambda: Pair(first=5))
    middle: Annotated[bool, typer.Option("--middle")] = False
    numbers: Numbers = field(default_factory=Numbers)


wholes: list[Whole] = []


@expand_groups
def nested(*, whole: Whole, end: Annotated[str, typer.Option()] = "e") -> None:
    wholes.append(whole)


def test_groups_of_groups_are_options_one_after_the_other() -> None:
    wholes.clear()
    assert run(nested) == (0, "")
    assert run(nested, "--count", "7", "--last", "x", "--middle") == (0, "")
    assert wholes == [
        Whole(),
        Whole(pair=Pair(first=5, last="x"), middle=True, numbers=Numbers(count="7")),
    ]
    text = run(nested, "--help")[1]
    places = [
        text.index(option) for option in ("--first", "--last", "--middle", "--count", "--end")
    ]
    assert places == sorted(places)


def test_keywords_of_groups() -> None:
    whole = Whole(numbers=Numbers(count="7"))
    # A group's own keywords are passed on as they are, even where one is a dataclass.
    assert keywords(whole) == {
        "first": 5,
        "last": "z",
        "middle": False,
        "count": 7,
        "pair": Pair(),
    }
    assert keywords(Pair(), Pair(last="y")) == {"first": 1, "last": "y"}
    assert keywords() == {}
