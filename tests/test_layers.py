"""The order of the layers: who may import whom, how modules are called, how long they get."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each imports only from those before it; CONTRIBUTING.md has the same list.
LAYERS = (
    "errors",
    "_version",
    "storage",
    "read",
    "options",
    "run",
    "store",
    "figures",
    "models",
    "attribution",
    "inference",
    "report",
    "jobs",
    "api",
    "views",
    "demo",
    "cli",
)
# Of the jobs, too, each imports only from those before it.
JOBS = ("infer", "render", "export", "analyze", "evaluate", "explain", "vit", "inspect", "view")
# torch takes a second to import, and 150 MB in every worker. Nothing that these import when they
# are imported leads to it: the command's help, the Python face, and all that a worker loads.
TORCH_FREE = (
    "fastcam",
    "fastcam.cli",
    "fastcam.api.render",
    "fastcam.api.export",
    "fastcam.store.open",
    "fastcam.jobs.render",
    "fastcam.jobs.export",
    "fastcam.jobs.inspect",
    "fastcam.jobs.evaluate.scoring",
    "fastcam.jobs.analyze.item",
    "fastcam.jobs.analyze.figures",
)
# Where own modules may be imported within functions: these import what a command needs when it is
# called, so that `fastcam --help` and `import fastcam` cost nothing.
LAZY = ("cli",)
# Libraries that are imported at the top of a file in their home only, and elsewhere not at all or,
# where they are optional or slow, within functions.
HOMES = {
    "dask": {"run.scheduler", "jobs.render.preload"},
    "distributed": {
        *("run.scheduler", "run.scheduler_address", "run.queues"),
        *("jobs.infer.preload", "jobs.render.preload"),
    },
    "fsspec": {"storage"},
    "zarr": {"store"},
}
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


class Executed(ast.NodeTransformer):
    """Drops what only type checkers read."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if "TYPE_CHECKING" in ast.dump(node.test) else node


class AtImport(Executed):
    """Drops what does not run when the module is imported, too."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        return None

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        return None


def imports(module: str, only: ast.NodeTransformer | None = None) -> tuple[tuple[str, str], ...]:
    """(module, imported name or "") of each import in the file, or in what ``only`` leaves."""
    key = module, type(only).__name__
    if key not in _IMPORTS:
        _IMPORTS[key] = tuple(_read_imports(module, only))
    return _IMPORTS[key]


# What was read already, by module and kind of ``only``.
_IMPORTS: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}


def _read_imports(module: str, only: ast.NodeTransformer | None) -> Iterator[tuple[str, str]]:
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


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def own_imports(module: str, only: ast.NodeTransformer | None = None) -> set[str]:
    """The modules of this project that a module imports."""
    reached = {target(source, name) for source, name in imports(module, only)}
    return {name for name in reached if name in MODULES and name != module}


def test_the_list_of_layers_is_whole() -> None:
    found = {layer(m) for m in FASTCAM if m != "fastcam"} - {"__main__"}
    assert found == set(LAYERS)
    assert {m.split(".")[2] for m in FASTCAM if m.count(".") > 1 and layer(m) == "jobs"} == set(
        JOBS
    )


def test_contributing_has_the_same_list() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for names in (LAYERS, JOBS):
        assert " → ".join(f"`{name}`" for name in names) in " ".join(text.split())


def test_imports_run_downward() -> None:
    wrong = []
    for module in FASTCAM:
        if module in ("fastcam", "fastcam.__main__"):
            continue
        for reached in own_imports(module) - set(KERNELS):
            if reached == "fastcam":
                wrong.append(f"{module} imports from the package's face")
            elif LAYERS.index(layer(reached)) > LAYERS.index(layer(module)):
                wrong.append(f"{module} imports {reached}")
    assert not wrong


def test_jobs_import_downward() -> None:
    wrong = []
    for module in FASTCAM:
        if layer(f"{module}.") != "jobs" or module.count(".") < 2:
            continue
        for reached in own_imports(module):
            if reached.startswith("fastcam.jobs."):
                job, used = module.split(".")[2], reached.split(".")[2]
                if JOBS.index(used) > JOBS.index(job):
                    wrong.append(f"{module} imports {reached}")
    assert not wrong


def test_own_modules_are_imported_at_the_top() -> None:
    """No import hides within a function, but for those that keep the command's help quick."""
    wrong = {
        f"{module} imports {reached}"
        for module in FASTCAM
        if layer(f"{module}.") not in LAZY
        for reached in own_imports(module, Executed()) - own_imports(module, AtImport())
    }
    assert not wrong


def test_writing_knows_only_errors_and_where_files_are() -> None:
    known = own_imports("fastcam.run.files") - {"fastcam.errors"}
    assert all(within(module, "fastcam.storage") for module in known)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    users = {
        module
        for module in FASTCAM
        for source, _ in imports(module, Executed())
        if source.partition(".")[0] == library
    }
    homes = {f"fastcam.{place}" for place in HOMES[library]}
    assert not {user for user in users if not any(within(user, home) for home in homes)}


@pytest.mark.parametrize("module", list(KERNELS))
def test_kernels_import_numpy_and_numba_only(module: str) -> None:
    # llvmlite is Numba's own back end.
    allowed = {"numpy", "numba", "llvmlite", "fastcam_kernels"} | sys.stdlib_module_names
    assert {s.partition(".")[0] for s, _ in imports(module)} <= allowed


def test_optional_libraries_are_imported_within_functions() -> None:
    optional = {"torchvision", "timm", "transformers", "monai", "safetensors", "SimpleITK"}
    for module in FASTCAM:
        early = {source.partition(".")[0] for source, _ in imports(module, AtImport())}
        assert not early & optional, module


def packages_of(module: str) -> set[str]:
    """The packages whose ``__init__`` runs before a module is imported."""
    parts = module.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))} & set(MODULES)


def test_what_workers_load_is_free_of_torch() -> None:
    roots = [m for m in FASTCAM if m == "fastcam" or any(within(m, p) for p in TORCH_FREE[1:])]
    for root in roots:
        chain = {root: ""}
        queue = [root]
        while queue:
            module = queue.pop()
            libraries = {source.partition(".")[0] for source, _ in imports(module, AtImport())}
            path = module
            while chain[path.split(" <- ")[-1]]:
                path += " <- " + chain[path.split(" <- ")[-1]]
            assert "torch" not in libraries, path
            for reached in own_imports(module, AtImport()) | packages_of(module):
                if reached not in chain:
                    chain[reached] = module
                    queue.append(reached)


def test_no_cycles() -> None:
    edges = {module: own_imports(module) for module in MODULES}
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
    public_modules = {"views"}
    assert not named & ((public_functions() | promised) - public_modules)


@pytest.mark.parametrize("module", list(MODULES))
def test_a_file_is_known_by_its_name_and_has_one_job(module: str) -> None:
    assert module.rpartition(".")[2] not in NO_NAMES
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_kernels_are_no_package_called_kernels() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()
