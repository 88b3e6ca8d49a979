"""The data behind ``fastcam doctor``: versions, codecs, GPUs, limits and folders of this machine.

Nothing is changed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fastcam_kernels import resize
from numba.core.dispatcher import Dispatcher

from fastcam._version import __version__
from fastcam.figures import fonts
from fastcam.jobs.inspect.model_libraries import library_states
from fastcam.run.cgroups import cpu_quota, memory_limit, usable_cpus

Value = str | int | float | bool | None

_REQUIRED = (
    *("numpy", "numba", "llvmlite", "zarr", "numcodecs", "dask", "distributed", "isal"),
    *("scipy", "matplotlib", "nibabel", "pydicom", "typer", "rich"),
)
_OPTIONAL = ("SimpleITK", "pylibjpeg")
# Name here -> Pillow's name for it; without those in _NEEDED a source can't be read or a name
# can't be drawn.
_CODECS = {
    "jpeg": "jpg",
    "png": "zlib",
    "tiff": "libtiff",
    "webp": "webp",
    "jpeg2000": "jpg_2000",
    "avif": "avif",
    "fonts": "freetype2",
    "colour_profiles": "littlecms2",
    "text_shaping": "raqm",
}
_NEEDED = ("jpeg", "png", "tiff", "webp", "fonts")
# Measured on one core of an AVX2 machine, pillow-simd 12.1.1.post0 against Pillow 13.0.0.
_WHAT_SIMD_CHANGES = (
    "pillow-simd shrinks color pictures about 9 times as fast as Pillow and turns RGB into gray "
    "twice as fast; it decodes and encodes as fast as Pillow and enlarges gray pictures a sixth "
    "slower. fastcam's own figures are resized by its kernels and written as PNG through isal, "
    "and change nothing. Security fixes reach pillow-simd later than Pillow."
)
_MIXED = (
    "Pillow and pillow-simd are both installed and share one folder, so files of both are mixed: "
    "`make nosimd` (or `pip uninstall pillow pillow-simd`, then `pip install` one of them)"
)
_CJK = "患"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    - ``name``: what it is about
    - ``value``: for programs: bytes, counts, versions; None where there is nothing
    - ``text``: for people
    - ``problem``: what is wrong and what to do; empty where all is well
    """

    name: str
    value: Value
    text: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Findings under one heading, with a ``note`` below them."""

    name: str
    findings: tuple[Finding, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The sections of the report."""

    sections: tuple[Section, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, with its remedy; empty on a healthy machine."""
        return tuple(f.problem for s in self.sections for f in s.findings if f.problem)

    def to_dict(self) -> dict[str, dict[str, Value] | list[str]]:
        """Section -> name -> value, and the list ``problems``; only JSON types."""
        sections: dict[str, dict[str, Value] | list[str]] = {
            s.name: {f.name: f.value for f in s.findings} for s in self.sections
        }
        return {**sections, "problems": list(self.problems)}


def collect(torch: bool = False, libraries: bool = False) -> Diagnosis:
    """Look at versions, the imaging library, PyTorch, the machine and its folders.

    ``torch=True`` imports PyTorch (a second or two) and asks it about GPUs; otherwise its
    version is read from its metadata and no GPU is looked for. ``libraries=True`` also looks for
    the libraries that models come from, and has processes of their own import them (seconds).
    """
    return Diagnosis(
        (
            Section("versions", tuple(_versions())),
            Section("images", tuple(_images()), _WHAT_SIMD_CHANGES),
            Section("torch", tuple(_torch(torch))),
            *([Section("models", tuple(_model_libraries()))] if libraries else []),
            Section("machine", tuple(_machine())),
            Section("folders", tuple(_folders())),
        )
    )


def _version(distribution: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return None


def _versions() -> list[Finding]:
    findings = [
        _plain("fastcam", __version__),
        _plain("python", platform.python_version()),
        _plain("executable", sys.executable),
        _plain("platform", platform.platform()),
    ]
    for name in _REQUIRED:
        version = _version(name)
        remedy = "" if version else f"{name} is not installed: pip install {name}"
        findings.append(Finding(name, version, version or "missing", remedy))
    for name in _OPTIONAL:
        version = _version(name)
        findings.append(Finding(name.lower(), version, version or "not installed (optional)"))
    findings.append(_plain("zlib", zlib.ZLIB_RUNTIME_VERSION))
    return findings


def _images() -> list[Finding]:
    import PIL
    from PIL import features

    simd, pillow = _version("pillow-simd"), _version("pillow")
    # Both call themselves PIL; only pillow-simd's versions carry a ".post".
    in_use = "pillow-simd" if ".post" in PIL.__version__ else "Pillow"
    findings = [
        Finding("library", in_use, in_use, _MIXED if simd and pillow else ""),
        _plain("version", PIL.__version__),
        Finding("simd", in_use == "pillow-simd", "yes" if in_use == "pillow-simd" else "no"),
        Finding(
            "jpeg_turbo",
            turbo := bool(features.check("libjpeg_turbo")),
            str(features.version("libjpeg_turbo")) if turbo else "no: decoding JPEG is slower",
        ),
    ]
    for name, feature in _CODECS.items():
        version = features.version(feature) if features.check(feature) else None
        remedy = f"{in_use} was built without {name}: pip install --force-reinstall pillow"
        problem = remedy if version is None and name in _NEEDED else ""
        findings.append(Finding(name, version, version or "missing", problem))
    return findings


def _torch(load: bool) -> list[Finding]:
    version = _version("torch")
    if version is None:
        missing = "torch is not installed: pip install torch"
        return [Finding("version", None, "missing", missing)]
    findings = [_plain("version", version)]
    if not load:
        return [*findings, Finding("gpus", None, "not looked for")]
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of CUDA's is missing
        broken = f"torch {version} can't be imported ({error}): install it again"
        return [*findings, Finding("gpus", None, "unknown", broken)]
    built_for = torch.version.cuda or torch.version.hip
    findings.append(Finding("cuda", built_for, built_for or "CPU build"))
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    text = str(count) if count or not built_for else "none found: no GPU, or its driver is too old"
    findings.append(Finding("gpus", count, text))
    for index in range(count):
        card = torch.cuda.get_device_properties(index)
        text = f"{card.name}, {_bytes(card.total_memory)}"
        findings.append(Finding(f"gpu_{index}", card.name, text))
    return findings


def _model_libraries() -> Iterator[Finding]:
    for state in library_states():
        if state.version is None:
            yield Finding(state.name, None, "not installed (optional)")
            continue
        yield _plain(state.name, state.version)
        broken = (
            f"{state.name} {state.version} does not load ({state.reason}): install it, or the "
            f"library that is named, in the version for torch {_version('torch')}"
        )
        text = {True: "yes", False: f"no: {state.reason}", None: f"unknown: {state.reason}"}
        problem = broken if state.loads is False else ""
        yield Finding(f"{state.name}_loads", state.loads, text[state.loads], problem)


def _machine() -> list[Finding]:
    total = os.cpu_count() or 1
    usable = usable_cpus()
    quota = cpu_quota()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory_limit()
    return [
        _plain("processor", _processor()),
        Finding("cores", usable, f"{usable} of {total} may be used"),
        Finding(
            "core_quota",
            quota,
            "none" if quota is None else f"{quota:g} cores' time: choose --workers by it",
        ),
        Finding("memory", memory, _bytes(memory)),
        Finding("memory_limit", limit, "none" if limit is None else _bytes(limit)),
    ]


def _processor() -> str:
    """The CPU's name with the instruction sets that matter here, where Linux tells them."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        facts = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        sets = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512-BF16"}
        flags = facts.get("flags", "").split()
        extensions = [name for flag, name in sets.items() if flag in flags]
        return ", ".join([facts.get("model name", platform.machine()), *extensions])
    return platform.processor() or platform.machine()


def _folders() -> list[Finding]:
    cache = _numba_cache()
    uncached = (
        "no folder for Numba's compiled code can be written, so every start compiles for a while: "
        "set NUMBA_CACHE_DIR to a folder that can"
    )
    scratch = Path(tempfile.gettempdir())
    free = shutil.disk_usage(scratch).free
    no_font = "no font with Chinese characters: apt-get install fonts-wqy-zenhei, or --font FILE"
    dejavu, cjk = _fonts()
    return [
        Finding("numba_cache", cache, cache or "none", "" if cache else uncached),
        _plain("temporary", str(scratch)),
        Finding("temporary_free", free, _bytes(free)),
        Finding("font", dejavu, dejavu or "none", "" if dejavu else "matplotlib lacks its fonts"),
        # Not a problem: only cases with such names need one.
        Finding("cjk_font", cjk, cjk or no_font),
    ]


def _fonts() -> tuple[str | None, str | None]:
    if importlib.util.find_spec("matplotlib") is None:
        return None, None
    plain = fonts.dejavu(bold=False)
    if not plain.is_file():
        return None, None
    last = fonts.chain(_CJK)[-1]
    return str(plain), str(last) if fonts.covers(last, _CJK) else None


def _numba_cache() -> str | None:
    """The folder that compiled kernels go to, if it can be written."""
    paths = [k.stats.cache_path for k in vars(resize).values() if isinstance(k, Dispatcher)]
    folder = next((path for path in paths if path), None)
    return str(folder) if folder and os.access(_existing(Path(folder)), os.W_OK) else None


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _plain(name: str, value: str) -> Finding:
    return Finding(name, value, value)


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
