# Every target first makes .venv, once: again only when the project file or the constraints change.
PYTHONS   := python3.11 python3
BIN       := .venv/bin
INSTALLED := .venv/.installed

# One thread: two on shared cores are slower than one as soon as anything else runs.
export OMP_NUM_THREADS := 1
# Programs that tests start read compiled modules, where some images forbid Python to keep them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := setup
.PHONY: setup demo test lint bench

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	  then exec $$python -m venv .venv; fi; \
	done; echo 'setup: needs Python 3.11, 3.12 or 3.13, as python3.11 or python3' >&2; exit 1
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,nwb,pynapple,tdca]'
	touch $@

demo: setup
	$(BIN)/cortex-sim demo

# One worker a core, each of one thread; a half of the tests each, until one has none left and takes the other's.
# make test ARGS="-m slow" runs the slow ones, ARGS="-m ''" all.
test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/cortex-sim bench gait-step
	$(BIN)/cortex-sim bench throughput
	$(BIN)/cortex-sim bench memory
	$(BIN)/cortex-sim bench scaling
	$(BIN)/cortex-sim bench brian2
	$(BIN)/cortex-sim bench tdca
