"""What the documents name is there: files, folders, modules that are run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("fastcam", "kernels", "tests", "benchmarks")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(
    f"benchmarks/results/{path.name}" for path in sorted((ROOT / "benchmarks/results").glob("*.md"))
))  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_are_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    paths = re.findall(rf"(?:{'|'.join(FOLDERS)})/[\w/]*(?:\.\w+)?(?=[`\s):]|$)", text)
    assert not [path for path in paths if not (ROOT / path).exists()]
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert not [link for link in links if not (ROOT / document).parent.joinpath(link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_that_are_run_are_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    names = re.findall(r"python -m ((?:fastcam|tests|benchmarks)[\w.]*)", text)
    paths = [ROOT / name.rstrip(".").replace(".", "/") for name in names]
    assert not [path for path in paths if not path.with_suffix(".py").is_file()]
