"""What the documents name is there: files, folders, modules that are run, commands, options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from docs.generate import speed
from fastcam.cli.main import app

ROOT = Path(__file__).parents[1]
FOLDERS = ("fastcam", "kernels", "tests", "benchmarks", "docs", "examples")
PAGES = tuple(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(
        f"benchmarks/results/{path.name}"
        for path in sorted((ROOT / "benchmarks/results").glob("*.md"))
    ),
    *PAGES,
)
# What the site's build makes; `make docs` checks links to it, and all anchors.
GENERATED = re.compile(
    r"(gallery|command-line|command-line/[\w-]+|benchmarks/[\w-]+"
    r"|results_file|cnn_test_set|vision_transformer|volumes|faithfulness|tutorials/\w+)\.md$"
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_are_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    paths = re.findall(rf"(?:{'|'.join(FOLDERS)})/[\w/-]*(?:\.\w+)?(?=[`\s):]|$)", text)
    absent = [path for path in paths if not (ROOT / path).exists()]
    if document in PAGES:
        # There such words are as often folders of the reader's own.
        absent = [path for path in absent if path.startswith("tests/")]
    assert not absent
    links: list[str] = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    folder = (ROOT / document).parent
    assert not [x for x in links if not (folder / x).exists() and not GENERATED.search(x)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_that_are_run_are_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    names = re.findall(r"python -m ((?:fastcam|tests|benchmarks|docs)[\w.]*)", text)
    paths = [ROOT / name.rstrip(".").replace(".", "/") for name in names]
    assert not [path for path in paths if not path.with_suffix(".py").is_file()]


def _commands(text: str) -> list[list[str]]:
    """The words of every ``fastcam COMMAND ...`` in the code blocks of a document."""
    blocks = re.findall(r"```(?:bash|sh)?\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = []
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["fastcam"]:
            commands.append(words[1:])
    return commands


@pytest.mark.parametrize("document", ["README.md", *PAGES])
def test_commands_have_the_options_that_are_shown(document: str) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, *words in _commands((ROOT / document).read_text(encoding="utf-8")):
        if name.startswith("-"):
            assert name in {option for p in group.params for option in p.opts}, name
            continue
        assert name in group.commands, name
        command = group.commands[name]
        options = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
        unknown = [w for w in words if w.startswith("--") and w not in {*options, "--help"}]
        assert not unknown, (name, unknown)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("document", speed.TARGETS, ids=lambda path: path.name)
def test_speed_is_that_of_the_benchmarks(document: Path) -> None:
    """Where it fails: ``python -m docs.generate.speed`` writes it anew."""
    assert speed.written(document) == speed.block()


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/results").glob("*-*.md")), ids=str)
def test_benchmark_results_say_where_they_come_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for row in ("date", "hardware", "software", "command", "commit"):
        assert f"\n| {row} | " in text, row
    assert "\n## Summary\n" in text


def test_every_result_is_in_the_index() -> None:
    results = ROOT / "benchmarks" / "results"
    index = (results / "README.md").read_text(encoding="utf-8")
    assert not [path.name for path in results.glob("*-*.md") if f"({path.name})" not in index]
