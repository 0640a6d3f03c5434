# WarmCI: `make demo` tells the story, `make test` proves it. Both work on a fresh Debian machine as root.
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/sh

.PHONY: demo test test-unit test-long test-crash lint bench bench-realms bench-snapshot docs clean

demo: $(VENV)/.runtime
	scripts/install-tools engine
	$(BIN)/warmci demo

test: lint
	scripts/install-tools engine nix test
	$(BIN)/python -m pytest -n 2 -m "not integration and not long and not crash"
	$(BIN)/python -m pytest -m "integration and not long and not crash"

test-unit: $(VENV)/.dev
	scripts/install-tools unit
	$(BIN)/python -m pytest -n 2 -m "not integration and not long and not crash"

# Kills, disk errors, power cuts at every point; writes docs/reliability.md.
test-crash: $(VENV)/.dev
	scripts/install-tools test crash
	rm -rf .crash-results && mkdir .crash-results
	$(BIN)/python -m pytest tests/crash -m crash -n 2 --dist worksteal --crash-results $(CURDIR)/.crash-results

# A night's sweep over five recipes, thirty cycles of runs: ten minutes.
test-long: $(VENV)/.dev
	scripts/install-tools engine test
	$(BIN)/python -m pytest -m long

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.dev
	scripts/install-tools engine
	$(BIN)/python benchmarks/quick_vs_shell.py

# Save, restore, attach and roll back beside cp, rsync, tar, restic and borg; half an hour, 8 GB.
bench-snapshot: $(VENV)/.dev
	scripts/install-tools crash bench
	$(BIN)/python benchmarks/snapshots.py

bench-realms: $(VENV)/.dev
	scripts/install-tools engine
	$(BIN)/python benchmarks/realms.py

docs: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m support.pages
	scripts/install-tools nix
	PYTHONPATH=tests $(BIN)/python -m support.nixeval

$(VENV)/bin/pip:
	scripts/install-tools python
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.runtime: $(VENV)/bin/pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .crash-results
