# Two commands are enough on a machine with Python 3.11 or later and make:
#   make demo    makes its own environment, then runs `fastcam demo`
#   make test    the same environment and the test suite
# Everything that is installed is pinned in constraints.txt; a second run installs nothing.

PYTHON ?= python3
VENV ?= .venv
SIMD_VENV ?= build/venv-simd
SIMD_CC ?= cc -mavx2
ARGS ?=

# What building pillow-simd needs, by Debian's names.
SIMD_PACKAGES := gcc python3-dev pkg-config libjpeg-dev zlib1g-dev libtiff-dev libfreetype-dev \
	libraqm-dev liblcms2-dev libwebp-dev libopenjp2-7-dev
# "enable" makes a missing header an error instead of a Pillow that can't read a format.
SIMD_CODECS := jpeg zlib tiff freetype raqm lcms webp jpeg2000
# AVIF needs libavif 1.0, which Debian 12 lacks; imagequant is GPL; xcb takes screenshots.
SIMD_OFF := avif imagequant xcb
# The tests that see which imaging library is in use.
SIMD_TESTS ?= tests/test_pillow.py tests/read tests/figures tests/jobs/inspect/test_doctor.py

PY := $(VENV)/bin/python
PIP := $(PY) -m pip -qq --disable-pip-version-check
PINS := constraints.txt pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow campaign lint format types gpu-check bench docs simd nosimd test-simd clean
# Recipes install into one environment; two at once would break it.
.NOTPARALLEL:

help:
	@echo "make demo       environment in $(VENV), then fastcam demo"
	@echo "make test       the test suite               (ARGS='-k png')"
	@echo "make test-slow  benchmarks run small, notebooks, examples, faults on purpose"
	@echo "make campaign   faults on purpose, an hour    (ARGS='--seed 1 --minutes 5')"
	@echo "make lint       ruff check and format check   make format mends"
	@echo "make types      mypy --strict"
	@echo "make bench      every benchmark               (ARGS='--quick')"
	@echo "make gpu-check  what only a GPU shows: tests marked cuda, benchmarks"
	@echo "make docs       the site, in build/site; a broken link fails"
	@echo "make simd       pillow-simd in Pillow's place; make nosimd puts Pillow back"
	@echo "make test-simd  decoding and resizing tests with pillow-simd, in $(SIMD_VENV)"
	@echo "make clean      remove environments, caches and build folders"

demo: $(VENV)/.installed
	$(VENV)/bin/fastcam demo $(ARGS)

# One process a core, each with one thread: PyTorch's threads would wait for each other.
test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto -m "not slow" $(ARGS)

# Benchmarks run small, notebooks, examples, faults on purpose.
test-slow: $(VENV)/.test $(VENV)/.bench
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto -m slow $(ARGS)

# Kills, full disks, hostile and damaged files, changed inputs; a small one is among the tests.
campaign: $(VENV)/.test
	OMP_NUM_THREADS=1 PYTHONPATH=.:kernels $(PY) -m tests.campaign.campaign $(ARGS)

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/.lint
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# mypy sees more where the libraries of tests and benchmarks are there.
types: $(VENV)/.lint $(VENV)/.test $(VENV)/.bench
	$(VENV)/bin/mypy

# Eight minutes at most; without a GPU one line and exit code 2.
gpu-check: $(VENV)/.test $(VENV)/.bench
	PYTHONPATH=.:kernels $(PY) -m benchmarks.gpu_check $(ARGS)

bench: $(VENV)/.bench
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) $$file $(ARGS) || exit 1; done

# Pictures and tutorials are made by running fastcam, and kept in build/docs-cache until it changes.
docs: $(VENV)/.docs
	OMP_NUM_THREADS=1 NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet

simd: $(VENV)/.simd

nosimd: $(VENV)/.installed
	@rm -f $(VENV)/.simd
	-@$(PIP) uninstall --yes pillow-simd pillow 2>/dev/null
	$(PIP) install -c constraints.txt pillow

test-simd:
	@$(MAKE) --no-print-directory VENV=$(SIMD_VENV) $(SIMD_VENV)/.test simd
	$(SIMD_VENV)/bin/python -m pytest $(SIMD_TESTS) $(ARGS)

clean:
	rm -rf $(VENV) $(SIMD_VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find fastcam kernels benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. A stamp stands for what its recipe installed.

$(VENV)/.pip: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "no venv module: apt-get install python3-venv, then again" >&2; rm -rf $(VENV); exit 1; }
	$(PIP) install -c constraints.txt --upgrade pip
	@touch $@

# Pillow and pillow-simd share one folder: installing over pillow-simd would mix the two.
$(VENV)/.installed: $(VENV)/.pip $(PINS)
	@if [ -e $(VENV)/.simd ]; then \
		echo "pins changed: Pillow comes back, make simd replaces it again"; \
		rm $(VENV)/.simd; $(PIP) uninstall --yes pillow-simd; fi
	@echo "installing fastcam and what it needs into $(VENV): a minute, more where PyTorch is downloaded"
	$(PIP) install -c constraints.txt --build-constraint constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.installed $(VENV)/.docs
	$(PIP) install -c constraints.txt --group test
	$(PIP) install -c constraints.txt --no-deps --group oracles
	@touch $@

$(VENV)/.lint: $(VENV)/.installed
	$(PIP) install -c constraints.txt --group lint
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(PIP) install -c constraints.txt --group bench
	$(PIP) install -c constraints.txt --no-deps --group oracles
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(PIP) install -c constraints.txt --group docs
	@touch $@

# The wheel is built before Pillow goes, so a failed build leaves the environment as it was.
# pip's cache knows nothing of CC, hence --no-cache-dir.
$(VENV)/.simd: $(VENV)/.installed
	@case "$(SIMD_CC)" in *avx2*) grep -qsw avx2 /proc/cpuinfo \
		|| { echo "this CPU has no AVX2: make simd SIMD_CC=cc builds for SSE4" >&2; exit 1; };; esac
	@echo "building pillow-simd with CC=\"$(SIMD_CC)\" and $(SIMD_CODECS)"
	@rm -rf $(VENV)/simd
	@CC="$(SIMD_CC)" $(PIP) wheel --no-cache-dir --no-deps --no-binary pillow-simd \
		-c constraints.txt --build-constraint constraints.txt \
		$(SIMD_CODECS:%=-C %=enable) $(SIMD_OFF:%=-C %=disable) -w $(VENV)/simd pillow-simd \
		|| { echo "pillow-simd was not built. On Debian and Ubuntu it needs:" >&2; \
			echo "  apt-get install $(strip $(SIMD_PACKAGES))" >&2; exit 1; }
	$(PIP) uninstall --yes pillow
	$(PIP) install --no-deps $(VENV)/simd/*.whl
	@$(PY) -c 'import PIL.Image as i; assert ".post" in i.__version__; print("in use: pillow-simd", i.__version__)'
	@touch $@
	@echo "pip check now says that pillow is missing: pillow-simd is Pillow under another name."
	@echo "Installing packages by hand may bring Pillow back on top of it; then: make nosimd simd"
