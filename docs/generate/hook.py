"""MkDocs hook: pages that are generated, mathematics as MathML, and nothing from the network."""

from __future__ import annotations

import html
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parents[2]))
from docs.generate import benchmark_pages, command_line, gallery, notebooks

_MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
# What is made runs in processes of its own.
_AT_ONCE = 2
_FETCHED = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="?(https?:)?//', re.IGNORECASE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every command has its page in the navigation, those of the benchmarks too."""
    pages = [
        {f"fastcam {name}": f"{command_line.FOLDER}/{name}.md"}
        for name in command_line.command_names()
    ]
    nav: list[dict[str, Any]] = config.nav or []
    reference = next(entry["Reference"] for entry in nav if "Reference" in entry)
    for entry in reference:
        if "Command line" in entry:
            entry["Command line"] = [f"{command_line.FOLDER}.md", *pages]
        if "Benchmarks" in entry:
            entry["Benchmarks"] = list(benchmark_pages.pages())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs/ holds."""
    texts = {**command_line.command_pages(), **benchmark_pages.pages()}
    for path, text in texts.items():
        files.append(File.generated(config, path, content=text))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tutorials = pool.map(notebooks.page, notebooks.sources())
        pictures = pool.map(lambda make: make(), gallery.makers())
        for folder in tutorials:
            _add_folder(files, config, folder, "tutorials")
        for folder in pictures:
            _add_folder(files, config, folder, "")
    _add_folder(files, config, gallery.page(), "")
    return files


def on_page_content(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML, which browsers show without a script."""

    def formula(match: re.Match[str]) -> str:
        display = "block" if match[2] == "[" else "inline"
        return convert(html.unescape(match[3]), display=display)

    return _MATH.sub(formula, text)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """A page that would fetch something from the network fails the build."""
    if match := _FETCHED.search(output):
        start = match.start()
        raise SystemExit(f"{page.file.src_uri}: fetches {output[start : start + 160]!r}")
    return output


def _add_folder(files: Files, config: MkDocsConfig, folder: Path, within: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "part.md" and path.parent.name != "readme":
            name = (Path(within) / path.relative_to(folder)).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
