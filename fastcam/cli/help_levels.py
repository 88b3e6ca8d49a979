"""Two levels of help: ``--help`` shows the options that matter first, ``--help-all`` every one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperOption

# The options that most users want, of commands that have more than fit on a screen.
FIRST_OPTIONS: dict[str, tuple[str, ...]] = {
    "infer": (
        *("model", "checkpoint", "num_classes", "image_size", "output_dir", "method", "layer"),
        *("target", "mask_dir", "axis"),
    ),
    "render": (
        *("output_dir", "root_dir", "mask_dir", "mode", "patient", "only_errors", "analyze_stats"),
        *("scale", "colormap", "workers"),
    ),
    "explain": (
        *("model", "checkpoint", "num_classes", "image_size", "output_dir", "method", "layer"),
        *("target", "scale", "colormap"),
    ),
    "vit": (
        *("model", "checkpoint", "output_dir", "demo", "view", "layers", "head", "query"),
        *("compare", "device"),
    ),
    "evaluate": (
        *("model", "checkpoint", "image_dir", "table", "target", "output_dir", "mask_dir"),
        *("method", "explain", "faithfulness"),
    ),
    "analyze": (
        *("model", "checkpoint", "images", "output_dir", "layer", "method", "target", "compare"),
        *("class_names", "language"),
    ),
    "view": (
        *("root_dir", "mask_dir", "table", "scale", "colormap", "review", "reader", "blind"),
        *("host", "port"),
    ),
}


class ShortHelpCommand(TyperCommand):
    """A command whose ``--help`` shows its arguments and the options called :attr:`first`."""

    first: ClassVar[tuple[str, ...]] = ()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; of the options that are left out, how many they are."""
        rest = [
            parameter
            for parameter in self.params
            if isinstance(parameter, TyperOption)
            and parameter.name not in self.first
            and parameter.name != "help_all"
            and not parameter.hidden
        ]
        for parameter in rest:
            parameter.hidden = True
        try:
            self._format(ctx, formatter)
        finally:
            for parameter in rest:
                parameter.hidden = False
        typer.echo(f" {len(rest)} more options: {ctx.command_path} --help-all\n")

    def format_all(self, ctx: Any) -> None:
        """Print the help with every option."""
        self._format(ctx, ctx.make_formatter())

    def _format(self, ctx: Any, formatter: Any) -> None:
        with _literal(self.params):
            super().format_help(ctx, formatter)


def short_help(name: str) -> type[ShortHelpCommand]:
    """The class of the command ``name`` of :data:`FIRST_OPTIONS`."""
    return type(f"{name.title()}Command", (ShortHelpCommand,), {"first": FIRST_OPTIONS[name]})


def with_help_all(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the option ``--help-all``; its class is :func:`short_help`'s."""

    @wraps(command)
    def helped(**options: Any) -> None:
        del options["help_all"]
        command(**options)

    own = signature(command)
    option = Annotated[
        bool,
        typer.Option("--help-all", is_eager=True, callback=_show_all, help="Show every option."),
    ]
    added = Parameter("help_all", Parameter.KEYWORD_ONLY, default=False, annotation=option)
    vars(helped)["__signature__"] = own.replace(parameters=[*own.parameters.values(), added])
    helped.__annotations__ = {**command.__annotations__, "help_all": option}
    return helped


@contextmanager
def _literal(parameters: list[Any]) -> Iterator[None]:
    """While it lasts, the parameters' help is Rich markup that is shown as it is written.

    Rich reads ``[word]`` as a style and ``:word:`` as an emoji.
    """
    from rich.markup import escape

    texts = [(p, p.help) for p in parameters if getattr(p, "help", None)]
    for parameter, text in texts:
        parameter.help = re.sub(r"(:\S+?):", r"\1[none]:[/none]", escape(text))
    try:
        yield
    finally:
        for parameter, text in texts:
            parameter.help = text


def _show_all(ctx: typer.Context, requested: bool) -> None:
    command: Any = ctx.command
    if requested and isinstance(command, ShortHelpCommand):
        command.format_all(ctx)
        raise typer.Exit
