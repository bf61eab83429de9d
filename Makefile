# Two commands set everything up: `make serve` and `make test`. Everything lives in .venv; nothing outside is touched,
# but for Debian's chromium, which the browser tests need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell sed -n 's/^torch==/torch==/p' requirements.lock)
# Elsewhere than on a machine whose package index holds a CPU build: make install TORCH_OPTIONS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_OPTIONS ?=

.PHONY: chromium serve install index test test-slow check bench eval lock clean

serve: index
	$(BIN)/ragbot serve

install: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	@echo "Installing PyTorch and the locked dependencies (about 2 GB on the disk, a few minutes) …"
	$(BIN)/pip install --quiet $(TORCH_OPTIONS) $(TORCH)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	$(BIN)/pip check
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(BIN)/pip install --quiet --requirement requirements-dev.lock
	@touch $@

# Does nothing, in a few seconds, where nothing has changed.
index: install
	$(BIN)/ragbot index

chromium:
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; } || { echo "The browser tests need chromium: install it with your package manager."; exit 1; }

test: $(VENV)/installed-dev chromium index
	$(BIN)/ruff check ragbot tests
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow"

test-slow: $(VENV)/installed-dev chromium index
	$(BIN)/pytest -m slow

check: $(VENV)/installed-dev
	$(BIN)/ruff check ragbot tests
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow and not browser"

bench: index $(VENV)/installed-dev
	$(BIN)/python tests/bench.py

eval: index
	$(BIN)/ragbot eval tests/quality/report.answers.jsonl tests/quality/report.guardrails.jsonl tests/quality/library.retrieval --out build/eval

# Writes both lock files anew from what pyproject.toml allows.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet --upgrade pip
	build/lock/bin/pip install --quiet $(TORCH_OPTIONS) $(TORCH)
	build/lock/bin/pip install --quiet . && build/lock/bin/pip freeze --exclude ragbot --exclude pip --exclude setuptools | sed 's/+cpu$$//' > requirements.lock
	build/lock/bin/pip install --quiet ".[dev]" && build/lock/bin/pip freeze --exclude ragbot --exclude pip --exclude setuptools | sed 's/+cpu$$//' > requirements-dev.lock

clean:
	rm -rf $(VENV) build
	find index -mindepth 1 ! -name .gitkeep -delete
