"""The command line's reference, from the commands themselves: a Markdown page for each."""

from __future__ import annotations

import re
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from fastcam.cli.main import app

Parameter = TyperArgument | TyperOption

FOLDER = "reference/command-line"
ARGUMENTS, PLAIN_OPTIONS = "Arguments", "Options"


def command_pages() -> dict[str, str]:
    """The pages, by path within the site: one a command, and their index."""
    commands = _commands()
    pages = {f"{FOLDER}/{name}.md": _page(name, command) for name, command in commands.items()}
    return {f"{FOLDER}.md": _index(commands), **pages}


def command_names() -> tuple[str, ...]:
    """The commands in the order of ``fastcam --help``."""
    return tuple(_commands())


def _commands() -> dict[str, TyperCommand]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    commands = group.commands.items()
    return {
        name: command
        for name, command in commands
        if isinstance(command, TyperCommand) and not command.hidden
    }


def _index(commands: dict[str, TyperCommand]) -> str:
    rows = [
        f"| [`fastcam {name}`](command-line/{name}.md) | {_cell(_first_sentence(command))} |"
        for name, command in commands.items()
    ]
    return "\n".join([_INDEX_TEXT, "| command | what it does |", "|---|---|", *rows, ""])


def _page(name: str, command: TyperCommand) -> str:
    context = typer.Context(command, info_name=f"fastcam {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"# fastcam {name}", "", _prose(command.help or ""), ""]
    lines += ["```", f"fastcam {name} {usage}", "```", ""]
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        assert isinstance(parameter, Parameter)
        if parameter.hidden:
            continue
        panel = parameter.rich_help_panel or (
            ARGUMENTS if isinstance(parameter, TyperArgument) else PLAIN_OPTIONS
        )
        panels.setdefault(panel, []).append(_row(parameter, context))
    for panel, rows in panels.items():
        lines += [f"## {panel}", "", "| option | meaning | default |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(parameter: Parameter, context: typer.Context) -> str:
    help_text = getattr(parameter, "help", None) or ""
    default = _default(parameter, context)
    return f"| {' '.join(_names(parameter, context))} | {_cell(help_text)} | {default} |"


def _names(parameter: Parameter, context: typer.Context) -> Iterator[str]:
    if isinstance(parameter, TyperArgument):
        yield f"`{parameter.display_name_raw}`"
        return
    for name in (*parameter.opts, *parameter.secondary_opts):
        yield f"`{name}`"
    if not parameter.is_flag:
        kind = parameter.display_type_rich(context) or ""
        yield f"*{kind.strip('<>').replace('|', chr(92) + '|')}*"


def _default(parameter: Parameter, context: typer.Context) -> str:
    if parameter.required:
        return "**required**"
    value = parameter.get_default(context)
    if value is None or value == [] or value == () or value is False:
        return ""
    return "yes" if value is True else f"`{value}`"


def _prose(text: str) -> str:
    """Help as paragraphs: Typer's lines are wrapped, Markdown's need not be."""
    return "\n\n".join(
        " ".join(paragraph.split()).replace("<", "&lt;")
        for paragraph in text.replace("\b", "").split("\n\n")
    )


def _first_sentence(command: TyperCommand) -> str:
    return re.split(r"(?<=[.])\s", _prose(command.help or "").partition("\n")[0])[0].rstrip(".")


def _cell(text: str) -> str:
    # Help may have options in it, as `--label` without backticks, and <case> for a name.
    plain = " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")
    return re.sub(r"(?<![\w`-])(--[a-z][\w-]+)(?![\w`-])", r"`\1`", plain)


_INDEX_TEXT = """# Command line

Every page is generated from the command itself, and says what `fastcam COMMAND --help` says.

**Exit codes**

| code | meaning |
|---|---|
| 0 | everything is done |
| 1 | failed |
| 2 | wrong usage, or input that can't be read |
| 3 | finished, but some cases failed: `failures.csv` lists them with the reasons |
| 130 | stopped by Ctrl-C or by the batch system; the same command resumes |

Results are printed to standard output, progress and messages to standard error; `--json` prints one
JSON object instead. `fastcam --install-completion` sets up completion for your shell.
"""
