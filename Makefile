# make demo    a small dataset, converted, proven and shown: base packages only
# make test    everything that a change has to pass
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# The locks name every file by its hash; the package itself needs no network.
INSTALL_LOCKED := $(PIP) install --require-hashes -r
INSTALL_PACKAGE := $(PIP) install --no-deps --no-build-isolation --editable .
LOCK_VENV := build/lock
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	--quiet $(UPGRADE)
COMPILE := $(LOCK_VENV)/bin/uv pip compile pyproject.toml requirements/build.in $(LOCK_FLAGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test fuzz bench interop docs wheel lock clean

help:
	@echo "make demo    install the base packages into $(VENV) and run defectkit on its own small product"
	@echo "make test    install everything and run lint, types, import rules and tests"
	@echo "make fuzz    hostile input by chance, with a new seed; SEED=5 has one again, CHECKS='png kill' takes some"
	@echo "make interop other programs open what is written here, and defectkit what they write, in an environment of their own"
	@echo "make docs    the docs as a site in site/, links checked, built in an environment of its own"
	@echo "make wheel   a wheel in dist/, installed into a bare environment and run there"
	@echo "make bench   the measurements behind the tables in docs/"
	@echo "make lock    requirements/*.txt after a change to pyproject.toml; UPGRADE=--upgrade takes newer versions"
	@echo "make clean   remove $(VENV) and what was built or cached"

demo: $(VENV)/.base-installed
	$(BIN)/defectkit demo demo --overwrite

test: $(VENV)/.dev-installed $(VENV)/.browser-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict toolkit converters finetune
	$(BIN)/lint-imports
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# The seed is printed. FUZZ_SECONDS and FUZZ_TMP are as CONTRIBUTING says.
CHECKS ?= all
fuzz: $(VENV)/.dev-installed
	$(BIN)/python -m tests.fuzz $(CHECKS) $(if $(SEED),--seed $(SEED))

# axe-core judges the gallery's accessibility; without npm that test is skipped, and says so.
$(VENV)/.browser-installed: tests/browser/package-lock.json | $(VENV)/.made
	@if command -v npm > /dev/null; then npm ci --prefix tests/browser --no-audit --no-fund --silent; \
		else echo "note: no npm, so that the accessibility test is skipped"; fi
	@touch $@

# Other programs, which need packages that would not go with ours.
INTEROP_VENV := build/interop
interop: $(VENV)/.dev-installed
	@test -x $(INTEROP_VENV)/bin/python || $(PYTHON) -m venv $(INTEROP_VENV)
	$(INTEROP_VENV)/bin/python -m pip --disable-pip-version-check --no-input --quiet install -r requirements/interop.txt
	$(BIN)/python -m benchmarks.interop $(PRODUCT) --python $(INTEROP_VENV)/bin/python

# Docstrings are read and not run, so that it takes neither the package nor what that needs.
DOCS_VENV := build/docs
docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict --quiet
	@echo "open site/index.html in a browser; its search needs a server: $(PYTHON) -m http.server --directory site"

$(DOCS_VENV)/.installed: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check --no-input --quiet install --require-hashes -r $<
	@touch $@

# From a copy, so that nothing built before gets into it; run from a folder where the sources are not in reach.
WHEEL_VENV := build/wheel
wheel: $(VENV)/.base-installed
	rm -rf $(WHEEL_VENV) dist
	mkdir -p $(WHEEL_VENV)/source dist
	cp -r toolkit converters finetune pyproject.toml README.md LICENSE $(WHEEL_VENV)/source
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist $(WHEEL_VENV)/source
	$(PYTHON) -m venv $(WHEEL_VENV)/venv
	$(WHEEL_VENV)/venv/bin/python -m pip --disable-pip-version-check --no-input --quiet install --require-hashes \
		-r requirements/base.txt
	$(WHEEL_VENV)/venv/bin/python -m pip --disable-pip-version-check --no-input --quiet install --no-deps dist/*.whl
	cd $(WHEEL_VENV) && venv/bin/defectkit doctor && venv/bin/defectkit demo demo

bench: $(VENV)/.dev-installed
	$(BIN)/python -m benchmarks.fidelity $(if $(MVTEC_ROOT),"$(MVTEC_ROOT)")
	$(BIN)/python -m benchmarks.convert $(if $(MVTEC_ROOT),"$(MVTEC_ROOT)")
	$(BIN)/python -m benchmarks.verify $(if $(MVTEC_ROOT),"$(MVTEC_ROOT)")
	$(if $(MVTEC_ROOT),$(BIN)/python -m benchmarks.tiles "$(MVTEC_ROOT)/screw" "$(MVTEC_ROOT)/bottle")
	$(BIN)/python -m benchmarks.gallery
	$(BIN)/python -m benchmarks.layouts
	$(BIN)/python -m benchmarks.components
	$(BIN)/python -m benchmarks.longtail
	$(BIN)/python -m benchmarks.thresholds
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.predict
	$(BIN)/python -m benchmarks.sam
	$(BIN)/python -m benchmarks.yolo
	$(BIN)/python -m benchmarks.yolo_world
	$(if $(MVTEC_ROOT),$(BIN)/python -m benchmarks.vae "$(MVTEC_ROOT)/screw")

# The stamp, not the interpreter, says that an environment is whole: pip comes last.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "error: $(PYTHON): defectkit needs Python 3.11, 3.12 or 3.13;" \
			"name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base-installed: requirements/base.txt pyproject.toml | $(VENV)/.made
	$(INSTALL_LOCKED) requirements/base.txt
	$(INSTALL_PACKAGE)
	@touch $@

# After the base, so that two pips never write into one environment at the same time.
$(VENV)/.dev-installed: requirements/dev.txt $(VENV)/.base-installed
	$(INSTALL_LOCKED) requirements/dev.txt
	@touch $@

# uv is no part of the project's own environment. The base takes the versions that the tests have seen.
lock:
	$(PYTHON) -m venv $(LOCK_VENV)
	$(LOCK_VENV)/bin/python -m pip --disable-pip-version-check --no-input --quiet install uv
	$(COMPILE) --extra dev -o requirements/dev.txt
	$(COMPILE) --constraint requirements/dev.txt -o requirements/base.txt
	$(LOCK_VENV)/bin/uv pip compile requirements/docs.in $(LOCK_FLAGS) -o requirements/docs.txt
	rm -rf $(LOCK_VENV)

clean:
	rm -rf $(VENV) tests/browser/node_modules build dist demo site ./*.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find toolkit converters finetune tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
