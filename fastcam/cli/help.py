"""``fastcam help``: the how-to pages of the documentation on the terminal, without a network."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fastcam.errors import InputError

_PACKAGE = Path(__file__).parents[1]
_INDEX = "index"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def _complete(incomplete: str) -> list[str]:
    return [name for name in _topics() if name.startswith(incomplete)]


def help_(
    context: typer.Context,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOPIC]",
            help="A page, or a command. Without it: the topics.",
            autocompletion=_complete,
        ),
    ] = None,
) -> None:
    """Print a how-to page: how to run your own model, evaluate a test set, use a cluster, ...

    The pages are those of the documentation's site. `fastcam COMMAND --help` lists options.
    """
    topics = _topics()
    if topic is None:
        width = max(map(len, topics), default=0)
        for name, path in topics.items():
            typer.echo(f"  {name:<{width}}  {_title(path)}")
        return
    page = topics.get(topic.lower().replace("_", "-"))
    if page is not None:
        _print_page(page)
        return
    group: Any = context.parent and context.parent.command
    commands: Mapping[str, Any] = getattr(group, "commands", {})
    if topic in commands:
        command = typer.Context(commands[topic], info_name=topic, parent=context.parent)
        typer.echo(commands[topic].get_help(command))
        return
    near = difflib.get_close_matches(topic.lower(), [*topics, *commands], n=3, cutoff=0.4)
    names = ", ".join(near or topics)
    raise InputError(f"help {topic}: no such topic; there are {names}")


def _print_page(page: Path) -> None:
    """The page set for the terminal; as Markdown where the output is no terminal."""
    text = _plain_links(_COMMENT.sub("", page.read_text(encoding="utf-8")))
    if sys.stdout.isatty():
        from fastcam.cli.terminal_page import print_markdown

        print_markdown(text)
    else:
        typer.echo(text, nl=False)


def _topics() -> dict[str, Path]:
    """The pages by their topics, in order."""
    return {path.stem: path for path in sorted(_pages().glob("*.md")) if path.stem != _INDEX}


def _pages() -> Path:
    """The folder of the pages: in the installed package, or in the checkout that runs."""
    shipped = _PACKAGE / "how_to"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "docs" / "how-to"


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().strip("# \n")


def _plain_links(text: str) -> str:
    """Links to other how-to pages as the command that prints them, other links as their text."""

    def plain(link: re.Match[str]) -> str:
        label, target = link[1], link[2]
        if target.startswith("http"):
            return f"{label} ({target})"
        topic = target.removesuffix(".md")
        return f"{label} (`fastcam help {topic}`)" if "/" not in topic else label

    return _LINK.sub(plain, text)
