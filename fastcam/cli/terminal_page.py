"""A page of Markdown on the terminal, from which commands can be copied."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, TableDataElement
from rich.text import Text


class _Code(CodeBlock):
    """Code whose lines are left as they are, so that one that is copied is still one line."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Each line by itself, since what has a width, as padding, cuts it off.
        for line in str(self.text).rstrip().split("\n"):
            yield Text(f"    {line}", style="cyan", no_wrap=True, overflow="ignore")


class _Cell(TableDataElement):
    """A cell that is folded where a word of it is too long, not cut off."""

    def __init__(self, justify: str) -> None:
        super().__init__(justify)  # type: ignore[arg-type]
        self.content.overflow = "fold"


class _Page(Markdown):
    elements: ClassVar = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "td_open": _Cell,
    }


def print_markdown(text: str) -> None:
    """Print Markdown to stdout, prose and tables as wide as the terminal is."""
    Console().print(_Page(text, hyperlinks=False), crop=False)
