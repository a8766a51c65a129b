# Two commands: `make demo` shows Likeness at work, `make test` proves it. Both build .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint chaos soak bench guard bench-peers console-bench evaluate fuzz hostile lock schemas clean

demo: $(INSTALLED)
	@$(BIN)/python -m demo

test: $(INSTALLED) lint
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

lint: $(INSTALLED)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>&1 | tail -n 3

# Measure models, pipeline, Kafka client, latency, processes and search; writes benchmarks/results and docs/performance's plots.
bench: $(INSTALLED)
	@$(BIN)/python -m benchmarks

# Fail if Likeness is slower than this machine allows: ratios only, half a minute; part of `make test`, too.
guard: $(INSTALLED)
	@$(BIN)/python -m benchmarks.guard

# Measure what people use instead beside it, in an environment of its own; builds indexes at first, docs/performance.md.
bench-peers: $(INSTALLED)
	@$(BIN)/python -m benchmarks.peers

# Measure the console's pages, and fifty moderators at work in it; writes the tables of docs/console.md.
console-bench: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m benchmarks.console
	@$(BIN)/python -m benchmarks.console_load --write

# Kill consumers, brokers and databases under load, and write docs/chaos.md's table; takes three quarters of an hour.
chaos: $(INSTALLED)
	@LIKENESS_CHAOS=full $(BIN)/python -m pytest tests/chaos -p no:cacheprovider

# Screen ordinary traffic for an hour and write docs/chaos.md's second table and docs/soak.
soak: $(INSTALLED)
	@LIKENESS_SOAK_SECONDS=3600 LIKENESS_SOAK_WRITE=1 $(BIN)/python -m pytest tests/chaos/test_soak.py -s -p no:cacheprovider

# Measure accuracy on the photographs that LIKENESS_FACES names, and write docs/accuracy.md's figures.
evaluate: $(INSTALLED)
	@$(BIN)/python -m benchmarks.accuracy

# Read mutated messages and decode mutated pictures, five minutes each.
fuzz: $(INSTALLED)
	@LIKENESS_FUZZ_SECONDS=300 $(BIN)/python -m pytest -s --timeout 600 tests/unit/test_fuzz_messages.py tests/unit/test_fuzz_pictures.py

# Screen every hostile input there is, and write the table of docs/hostile.md.
hostile: $(INSTALLED)
	@$(BIN)/python -m benchmarks.hostile

$(INSTALLED): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Likeness needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { echo "opencv-python lacks a system library;" \
		"on Debian: apt-get install libgl1 libglib2.0-0 libxcb1"; $(BIN)/python -c 'import cv2'; }
	@touch $@

# Resolve the ranges of pyproject.toml again and write both lock files.
lock: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-find-links --extra s3 --extra kms --extra demo --extra dev -o requirements-dev.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-find-links --extra s3 --extra kms -c requirements-dev.lock -o requirements.lock pyproject.toml

# Write config/schemas/ from the message models.
schemas: $(INSTALLED)
	@$(BIN)/python -m consumers.messages config/schemas

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info
