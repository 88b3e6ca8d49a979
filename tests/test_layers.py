"""The house's order: who may import whom, how modules are called, how long they get."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each imports only from those before it. A package counts as one layer; inside it, no cycles.
LAYERS = (
    "errors",
    "progress",
    "spec",
    "write",
    "read",
    "names",
    "storeroot",
    "store",
    "chunks",
    "mapschema",
    "mapbatch",
    "mapstore",
    "openstore",
    "shapes_set",
    "age_set",
    "models",
    "attribution",
    "inference",
    "figures",
    "opencase",
    "picture",
    "inline",
    "plan",
    "forkserver",
    "schedule",
    "phantom",
    "synthetic",
    "lesion_set",
    "report",
    "workitem",
    "measure",
    "preload",
    "drawplan",
    "mappicture",
    "mapplan",
    "judging",
    "mapitem",
    "grids",
    "gridfiles",
    "dicomfiles",
    "runfolder",
    "inferjob",
    "patchinfer",
    "runpage",
    "jobreport",
    "patchjob",
    "mapjob",
    "exporting",
    "pipeline",
    "evaluationset",
    "evaluationfigures",
    "evaluationtrust",
    "evaluatejob",
    "api",
    "gathering",
    "views",
    "analysis",
    "explaining",
    "modelapi",
    "analyzing",
    "evaluating",
    "vitdemo",
    "demonstration",
    "cli",
)
# torch takes a second to import: these layers import it, the others import these within functions.
WITH_TORCH = {"models", "attribution", "inference"}
# What everybody in the package may take from its face: set before anything is imported there.
FACE = {"__version__"}
NO_NAMES = {"utils", "util", "helpers", "common", "misc", "types", "io"}
LONGEST = 350


def module_name(path: Path, top: Path) -> str:
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FASTCAM = {module_name(p, ROOT): p for p in sorted((ROOT / "fastcam").rglob("*.py"))}
KERNELS = {
    module_name(p, ROOT / "kernels"): p
    for p in sorted((ROOT / "kernels" / "fastcam_kernels").rglob("*.py"))
}
MODULES = FASTCAM | KERNELS


class Running(ast.NodeTransformer):
    """Drops what only type checkers read."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if "TYPE_CHECKING" in ast.dump(node.test) else node


class Importing(Running):
    """Drops what does not run when the module is imported, too."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        return None

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        return None


def imports(module: str, only: ast.NodeTransformer | None = None) -> Iterator[tuple[str, str]]:
    """(module, imported name or "") of each import in the file, or in what ``only`` leaves."""
    path = MODULES[module]
    tree: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    if only is not None:
        tree = only.visit(tree)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = ".".join([*(home if node.level else []), *filter(None, [node.module])])
            yield from ((source, alias.name) for alias in node.names)


def target(source: str, name: str) -> str:
    """The module an import reaches: ``from package import module`` means the module."""
    return f"{source}.{name}" if f"{source}.{name}" in MODULES else source


def layer(module: str) -> str:
    return module.split(".")[1]


def test_every_module_has_its_layer() -> None:
    unknown = {layer(m) for m in FASTCAM if m != "fastcam"} - {*LAYERS, "__main__"}
    assert not unknown, f"give them a place in LAYERS: {sorted(unknown)}"


@pytest.mark.parametrize("module", [m for m in FASTCAM if m not in ("fastcam", "fastcam.__main__")])
def test_imports_only_from_layers_above(module: str) -> None:
    rank = LAYERS.index(layer(module))
    for source, name in imports(module):
        reached = target(source, name)
        if not reached.startswith("fastcam."):
            continue
        above = LAYERS.index(layer(reached))
        assert above < rank or layer(reached) == layer(module), f"{module} imports {reached}"


@pytest.mark.parametrize("module", [m for m in FASTCAM if m != "fastcam"])
def test_nothing_imports_its_own_package_face(module: str) -> None:
    for source, name in imports(module):
        if source == "fastcam" and target(source, name) == "fastcam":
            assert name in FACE, f"{module} takes {name or 'all'} from fastcam's face"


def test_writing_knows_only_errors() -> None:
    own = {target(s, n) for s, n in imports("fastcam.write") if s.partition(".")[0] == "fastcam"}
    assert own <= {"fastcam.errors"}


def test_dask_has_one_home() -> None:
    users = {
        module
        for module in FASTCAM
        for source, _ in imports(module, Running())
        if source.partition(".")[0] in ("dask", "distributed")
    }
    # preload only loads it, before the workers are forked.
    assert users <= {"fastcam.schedule", "fastcam.preload"}


@pytest.mark.parametrize("module", list(KERNELS))
def test_kernels_import_numpy_and_numba_only(module: str) -> None:
    # llvmlite is Numba's own back end.
    allowed = {"numpy", "numba", "llvmlite", "fastcam_kernels"} | sys.stdlib_module_names
    assert {s.partition(".")[0] for s, _ in imports(module)} <= allowed


@pytest.mark.parametrize("module", list(FASTCAM))
def test_only_what_runs_models_imports_torch(module: str) -> None:
    early = {target(s, n) for s, n in imports(module, Importing())}
    libraries = {name.partition(".")[0] for name in early}
    assert not libraries & {"torchvision", "timm", "transformers", "monai", "safetensors"}
    if layer(f"{module}.") not in WITH_TORCH:
        assert "torch" not in libraries
        assert not {layer(name) for name in early if name.startswith("fastcam.")} & WITH_TORCH


def test_no_cycles() -> None:
    edges = {
        module: {
            reached
            for source, name in imports(module, Importing())
            if (reached := target(source, name)) in MODULES and reached != module
        }
        for module in MODULES
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for reached in sorted(edges[module]):
                visit(reached, (*path, module))
            done.add(module)

    for module in sorted(edges):
        visit(module, ())


def public_functions() -> set[str]:
    """What ``fastcam.<name>`` offers: defined or imported in the face, or listed in ``__all__``."""
    tree = ast.parse(FASTCAM["fastcam"].read_text(encoding="utf-8"))
    names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    names |= {name for source, name in imports("fastcam") if source.startswith("fastcam.")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets) and node.value:
                names |= set(ast.literal_eval(node.value))
    return names


def test_no_module_has_the_name_of_a_public_function() -> None:
    named = {m.partition(".")[2] for m in FASTCAM if m.count(".") == 1}
    promised = {"render", "explain", "infer", "load_model", "open_store"}
    assert not named & (public_functions() | promised)


@pytest.mark.parametrize("module", list(MODULES))
def test_a_file_is_known_by_its_name_and_has_one_job(module: str) -> None:
    assert module.rpartition(".")[2] not in NO_NAMES
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_kernels_are_no_package_called_kernels() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()
