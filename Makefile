# Every target builds what it needs first: nothing has to be installed by hand but python3 (with venv), make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2
# The long tests wait for servers, subprocesses and disks half of their time.
SLOW_JOBS ?= 4
ROOMS := $(filter-out support,$(patsubst tests/%/__init__.py,%,$(wildcard tests/*/__init__.py)))
# Hundreds of tests start a program: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
# The theme prints an advertisement otherwise.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

.PHONY: help setup demo year pictures test coverage test-slow test-one check-room soak lint format docs record bench schema lock clean

help:
	@echo "make demo    plan and apply three example customers into a fresh store under .demo/"
	@echo "make year    play a school year day by day, and draw docs/year.svg anew"
	@echo "make pictures  draw the pull request of docs/how-to/ci.md anew (needs chromium)"
	@echo "make test    run the quick tests: on SQLite, and the main job on PostgreSQL"
	@echo "make coverage  run the quick tests and compare the branches that they cover with the gate of each room"
	@echo "make test-slow  run the long ones: all else on PostgreSQL, applies killed at every statement, a year, a browser"
	@echo "make test-one ROOM=planning  run the tests of one room, quick and slow; another ROOM lists the rooms"
	@echo "make soak    sixty days of syncs of two hundred customers"
	@echo "make lint    ruff, mypy, import-linter, schemas up to date, spelling, the site with its links"
	@echo "make docs    build the documentation as a site in .site/"
	@echo "make record  write the generated pages, and record what the commands of all pages print"
	@echo "make bench   speed and memory, as ratios measured in one run"
	@echo "make lock    compile the pinned, hashed requirements anew"

setup: $(READY)

$(READY): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	@$(BIN)/python -m demo

year: $(READY)
	@$(BIN)/python -m demo.year --record docs

pictures: $(READY)
	@$(BIN)/python -m demo.pull_request --record docs

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

coverage: $(READY)
	@rm -f .coverage.json
	$(BIN)/python -m slipcover --branch --source reconciler --json --out .coverage.json -m pytest -n $(JOBS) --dist worksteal -m "not slow"
	@$(BIN)/python -m tests.support.coverage_gates

# Several processes keep all processors busy; threads of their own only make them wait for each other.
test-slow: $(READY)
	POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n $(SLOW_JOBS) --dist worksteal -m slow

test-one: check-room $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/$(ROOM)

# Comes before the setup, which takes a minute.
check-room:
	@case " $(ROOMS) " in *" $(if $(filter 1,$(words $(ROOM))),$(ROOM),none) "*) ;; *) echo "error: no room '$(ROOM)'; choose ROOM from: $(ROOMS)" >&2; exit 2;; esac

soak: $(READY)
	RECONCILER_SOAK=1 $(BIN)/python -m pytest -m slow tests/operations/test_sync_soak.py

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/reconciler schema --check schemas
	$(BIN)/codespell reconciler tests demo benchmarks docs customers .ci README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md Makefile
	$(MKDOCS) build --quiet --strict

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)
	$(MKDOCS) build --strict

record: $(READY)
	$(BIN)/python -m reconciler.cli.reference_pages docs/reference
	$(BIN)/python -m tests.support.pages

bench: $(READY)
	@code=0; for each in benchmarks benchmarks.customers benchmarks.history benchmarks.api benchmarks.sftp; do $(BIN)/python -m $$each || code=1; done; exit $$code

schema: $(READY)
	$(BIN)/reconciler schema schemas

lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade pyproject.toml --output-file requirements/runtime.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade pyproject.toml --group dev --output-file requirements/dev.lock

clean:
	rm -rf $(VENV) .coverage.json .site .demo .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
