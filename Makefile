# Every target first makes .venv, once: again only when the project file or the constraints change.
PYTHONS   := python3.11 python3
BIN       := .venv/bin
INSTALLED := .venv/.installed
MATHJAX   := docs/_static/mathjax

# One thread: two on shared cores are slower than one as soon as anything else runs.
export OMP_NUM_THREADS := 1
# Programs that tests start read compiled modules, where some images forbid Python to keep them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := setup
.PHONY: setup demo test lint bench docs

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

# The site, docs/_build/html/index.html; the first time with its packages, and MathJax from npm. Later builds
# need no network. ARGS="-D plot_gallery=0" leaves out running protocols.
docs: $(INSTALLED)-docs $(MATHJAX)/tex-mml-chtml.js
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html $(ARGS)

$(INSTALLED)-docs: $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

$(MATHJAX)/tex-mml-chtml.js: docs/mathjax/package-lock.json
	@command -v npm >/dev/null || { echo 'docs: needs npm, which comes with Node.js, for MathJax' >&2; exit 1; }
	mkdir -p .venv/mathjax && cp docs/mathjax/package.json docs/mathjax/package-lock.json .venv/mathjax
	npm ci --prefix .venv/mathjax --no-audit --no-fund --ignore-scripts
	rm -rf $(MATHJAX) && cp -r .venv/mathjax/node_modules/mathjax/es5 $(MATHJAX) && touch $@

bench: setup
	$(BIN)/cortex-sim bench gait-step
	$(BIN)/cortex-sim bench throughput
	$(BIN)/cortex-sim bench memory
	$(BIN)/cortex-sim bench scaling
	$(BIN)/cortex-sim bench brian2
	$(BIN)/cortex-sim bench tdca
