# The front door: `make demo` shows the machine at work, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin
FUZZ_S = 60
# one more than there are cores, up to four: many tests wait for servers
WORKERS = $(shell $(BIN)/python -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')

.PHONY: demo test coverage lint bench soak nightly fuzz ui docs clean lock help audit sbom

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/.run ## start Cocket on real tracks and print its address
	$(BIN)/cocket demo

test: .venv/.dev ## all tests
	$(BIN)/python hatch_build.py test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q

coverage: .venv/.dev ## all tests, and which lines they reach
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term:skip-covered -q

lint: .venv/.dev ## style, types and layers, of the control room too, and the advisories of what it depends on
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/python hatch_build.py run check
	$(BIN)/python supply/audit.py

bench: .venv/.dev ## figures as ratios against baselines of the same run
	$(BIN)/python -m bench.run

soak: .venv/.dev ## long runs that are no part of make test
	$(BIN)/python -m pytest -m soak -q

nightly: .venv/.dev ## a million random and mutated frames through every decoder
	$(BIN)/python -m pytest -m soak -q tests/decoders

fuzz: .venv/.dev ## every parser led by coverage, FUZZ_S seconds each (Linux on x86-64); what it finds worth keeping stays in .fuzz
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements-fuzz.lock
	$(BIN)/python -m tests.fuzz.guided --seconds $(FUZZ_S)

ui: .venv/.run ## build the control room into the package
	$(BIN)/python hatch_build.py

docs: .venv/.dev ## write the generated pages of docs/ anew
	$(BIN)/python docs/build.py

audit: .venv/.dev ## ask the advisory services of PyPI and npm about known holes; says so if they cannot be reached
	$(BIN)/python supply/audit.py

sbom: .venv/.dev ## what Cocket is made of, as CycloneDX, into sbom/
	$(BIN)/python supply/sbom.py

lock: ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes -q --extra build --extra dev pyproject.toml -o requirements-dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes -q --extra build pyproject.toml -c requirements-dev.lock -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes -q --group pyproject.toml:fuzz -o requirements-fuzz.lock

clean: ## remove what was made here
	rm -rf .venv dist build src/cocket/web/static ui/node_modules .mypy_cache .ruff_cache .pytest_cache

.venv/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cocket needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv && touch $@

.venv/.run: .venv/.python requirements.lock pyproject.toml hatch_build.py $(shell find ui/src ui/package-lock.json 2>/dev/null)
	test -f .venv/.dev || $(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "compiling the kernels, once"
	$(BIN)/python -c 'from cocket.engine.warm import warm_up; warm_up()'
	touch $@

.venv/.dev: .venv/.python requirements-dev.lock .venv/.run
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	touch $@
