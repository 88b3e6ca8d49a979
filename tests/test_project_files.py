"""CITATION.cff, the issue forms and the public names: what others' tools read of the project."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import fastcam

ROOT = Path(__file__).parents[1]


def test_the_citation_is_that_of_the_package() -> None:
    """The keys that the Citation File Format 1.2.0 requires, and what pyproject.toml says."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    allowed = {
        *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi"),
        *("identifiers", "keywords", "license", "license-url", "message", "preferred-citation"),
        *("references", "repository", "repository-artifact", "repository-code", "title", "type"),
        *("url", "version"),
    }
    assert citation.keys() <= allowed
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    for author in citation["authors"]:
        # A person has a family name or given names, an entity a name.
        assert {"name"} == author.keys() or author.keys() & {"family-names", "given-names"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert str(citation["version"]) == fastcam.__version__


def test_the_tests_that_the_security_page_names_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[^`]+)`", text))
    assert len(named) > 10
    assert not {name for name in named if not (ROOT / name).exists()}


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_issue_forms(form: str) -> None:
    """GitHub's form schema: a name, a description, and elements of known types with ids."""
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8")
    loaded = yaml.safe_load(text)
    assert loaded["name"]
    assert loaded["description"]
    ids = []
    for element in loaded["body"]:
        assert element["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        if element["type"] == "markdown":
            assert element["attributes"]["value"]
        else:
            assert element["attributes"]["label"]
            ids.append(element["id"])
    assert len(ids) == len(set(ids)) > 0
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in ids)


def _shown_on_the_site() -> list[str]:
    """What ``::: name`` in the reference is replaced by."""
    pages = (ROOT / "docs" / "reference").glob("python*.md")
    texts = [page.read_text(encoding="utf-8") for page in pages]
    return sorted(name for text in texts for name in re.findall(r"^::: ([\w.]+)", text, re.M))


def test_every_public_name_is_on_the_site() -> None:
    shown = {name.removeprefix("fastcam.") for name in _shown_on_the_site()}
    assert set(dir(fastcam)) - {"__version__", "views"} - shown == set()
    assert {name.rpartition(".")[2] for name in shown} >= set(dir(fastcam.views))


@pytest.mark.parametrize("name", _shown_on_the_site())
def test_what_the_site_shows_has_docstrings(name: str) -> None:
    """Also methods and properties of classes."""
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    assert inspect.getdoc(value), name
    if inspect.isclass(value):
        undocumented = [
            member
            for member, held in vars(value).items()
            if not member.startswith("_")
            and (callable(held) or isinstance(held, property))
            and not inspect.getdoc(held)
        ]
        assert not undocumented
