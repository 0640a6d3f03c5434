# WarmCI: `make demo` tells the story, `make test` proves it. Both work on a fresh Debian machine as root.
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/sh
SBOM := warmci.cdx.json
BUILD_REQUIRES := python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'

.PHONY: lock demo test test-unit test-long test-crash test-engines test-soak test-ingress test-pages lint bench bench-current bench-realms bench-snapshot
.PHONY: docs clean sbom bench-scale bench-realms-life

demo: $(VENV)/.runtime
	scripts/install-tools engine
	$(BIN)/warmci demo

test: lint
	scripts/install-tools engine nix test
	$(BIN)/python -m pytest -n 2 -m "not integration and not long and not crash and not ingress and not browser"
	$(BIN)/python -m pytest -n 4 --dist loadfile -m "integration and not long and not crash and not ingress and not browser"

test-unit: $(VENV)/.dev
	scripts/install-tools unit
	$(BIN)/python -m pytest -n 2 -m "not integration and not long and not crash and not ingress and not browser"

# Recipes through a real Traefik, on a private engine. Its image is built once: five minutes of two processors.
test-ingress: $(VENV)/.dev
	scripts/install-tools engine test
	$(BIN)/python -m pytest tests/ingress -m ingress

# The pages in a real Chromium, at two widths, light and dark; and the pictures that runs take of apps.
test-pages: $(VENV)/.dev
	scripts/install-tools engine test browser
	$(BIN)/python -m pytest tests/report tests/run tests/integration/test_screenshots.py -m browser

# Kills, disk errors, power cuts at every point; writes docs/reliability.md.
test-crash: $(VENV)/.dev
	scripts/install-tools test
	rm -rf .crash-results && mkdir .crash-results
	$(BIN)/python -m pytest tests/crash -m crash -n 2 --dist worksteal --crash-results $(CURDIR)/.crash-results

# A night's sweep over five recipes, another over three nodes, cycles of runs, random kills: half an hour.
test-long: $(VENV)/.dev
	scripts/install-tools engine test
	$(BIN)/python -m pytest -m long

# The same against a current engine, built once for the machine (five minutes); and the demo on it.
test-engines: $(VENV)/.dev
	scripts/install-tools engine test current-engine
	scripts/with-current-engine $(BIN)/python -m pytest -n 3 --dist loadfile -m "integration and not long and not crash and not ingress and not browser"
	scripts/with-current-engine env DOCKER_HOST=unix:///run/no-engine.sock $(BIN)/warmci demo --root $(CURDIR)/.demo-current
	scripts/with-current-engine env DOCKER_HOST=unix:///run/no-engine.sock $(BIN)/warmci demo --root $(CURDIR)/.demo-current --clean

# 500 runs or an hour, half of them red, some killed, on the distribution's engine and then on a current one.
test-soak: $(VENV)/.dev
	scripts/install-tools engine test current-engine
	PYTHONPATH=tests $(BIN)/python benchmarks/soak.py
	PYTHONPATH=tests scripts/with-current-engine $(BIN)/python benchmarks/soak.py

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.dev
	scripts/install-tools engine
	$(BIN)/python benchmarks/quick_vs_shell.py
	$(BIN)/python benchmarks/cold.py

# The same on a current engine.
bench-current: $(VENV)/.dev
	scripts/install-tools engine current-engine
	scripts/with-current-engine env DOCKER_HOST=unix:///run/no-engine.sock $(BIN)/python benchmarks/quick_vs_shell.py --root $(CURDIR)/.demo-current
	scripts/with-current-engine env DOCKER_HOST=unix:///run/no-engine.sock $(BIN)/python benchmarks/cold.py --root $(CURDIR)/.demo-current

# Save, restore, attach and roll back beside cp, rsync, tar, restic and borg; half an hour, 8 GB.
bench-snapshot: $(VENV)/.dev
	scripts/install-tools test bench
	$(BIN)/python benchmarks/snapshots.py

bench-realms: $(VENV)/.dev
	scripts/install-tools engine
	$(BIN)/python benchmarks/realms.py

# Thousands of realms at one Keycloak; half an hour.
bench-realms-life: $(VENV)/.dev
	scripts/install-tools engine
	$(BIN)/python benchmarks/realms_life.py

# What grows with the data, the realms and the recipes, and what does not; half an hour.
bench-scale: $(VENV)/.dev
	scripts/install-tools engine
	$(BIN)/python benchmarks/scale.py
	PYTHONPATH=tests $(BIN)/python benchmarks/scale_quick.py
	$(BIN)/python benchmarks/scale_realms.py
	$(BIN)/python benchmarks/scale_recipes.py
	$(BIN)/python benchmarks/scale_help.py

docs: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m support.pages
	scripts/install-tools browser
	PYTHONPATH=tests $(BIN)/python -m support.pictures
	scripts/install-tools nix
	PYTHONPATH=tests $(BIN)/python -m support.nixeval

# After a change of the dependencies: newest versions that pyproject.toml allows, with the hashes of their files.
lock:
	python3 -m venv .lock-tools
	.lock-tools/bin/pip install --quiet uv
	.lock-tools/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml -o requirements/runtime.txt
	.lock-tools/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml --group dev -o requirements/dev.txt
	$(BUILD_REQUIRES) | .lock-tools/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate - -c requirements/dev.txt -o requirements/build.txt
	rm -rf .lock-tools

# The packages of a release, with the hashes of their files, as CycloneDX.
sbom: $(VENV)/.dev
	sed "s/^dynamic = .*/version = \"$$($(BIN)/hatchling version)\"/" pyproject.toml > $(VENV)/pyproject.toml
	$(BIN)/cyclonedx-py requirements --pyproject $(VENV)/pyproject.toml --output-reproducible --output-file $(SBOM) requirements/runtime.txt

$(VENV)/bin/pip:
	scripts/install-tools python
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.runtime: $(VENV)/bin/pip pyproject.toml hatch_build.py requirements/runtime.txt requirements/build.txt
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/runtime.txt --requirement requirements/build.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src # else each start compiles it anew where PYTHONDONTWRITEBYTECODE is set
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip check
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .crash-results
