# `make demo` and `make test` need Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# One thread for numerical libraries in each test process: more only fight each other for the cores.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test processors docs figures mutants validity lint wheel-test clean

demo: $(VENV)/installed
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks demo --output results

test: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

# The tests of equal bits, on this processor and on the plainest one that numpy and numba can play.
processors: $(VENV)/installed
	$(BIN)/python tests/processors.py -n $(JOBS) -m "not slow"

# The documentation, from docs/ and the docstrings, without network; open docs/_build/html/index.html.
docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# The pictures of the pages.
figures: $(VENV)/installed
	$(BIN)/python docs/figure.py docs/_static

# Changes of one line that the tests must notice; resumable, an hour or two. Shares by area and what lived are printed at the end.
mutants: $(VENV)/installed
	MPLBACKEND=Agg $(BIN)/python -m tests.mutation

validity: $(VENV)/installed
	$(BIN)/python -m benchmarks validity --output results
	LONG_RUNS=1 $(BIN)/python -m pytest -n $(JOBS) -s
	LONG_RUNS=1 HYPOTHESIS_PROFILE=fresh $(BIN)/python -m pytest -n $(JOBS) -m hypothesis

lint: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e ".[lint]"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The same tests against the built wheel, from another directory, with the oldest supported dependencies.
wheel-test: $(VENV)/installed
	bash tests/wheel.sh "$(PYTHON)" "$(JOBS)"

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "alignconf needs Python 3.11 or newer, found " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test,benchmarks]"
	touch $@

clean:
	rm -rf $(VENV) build dist results docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
