# make lab       set everything up and open the course in JupyterLab
# make test      set everything up, then run every test and every notebook
# make run       execute lessons and write an HTML copy of each      (LESSON="01 02" for some)
# make refresh   execute lessons in place and tidy their files        (LESSON="01 02" for some)
# make lint      ruff
# make browser   the tests in a real JupyterLab, in Chromium
# make bench     how fast training is beside the libraries that do the same (let the machine be idle)
# make colab     stamp Colab badges and setup cells                   (REPO=owner/name)
#
# Each target sets up .venv by itself when it is missing or when pyproject.toml or constraints.txt has changed.
# PYTHON=python3.12 make lab   chooses the interpreter of a new .venv (3.10 to 3.13).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LESSON ?=
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=300 --nbval-sanitize-with tests/notebooks/sanitize.cfg

.PHONY: lab test unit notebooks run refresh lint browser bench colab setup
.DEFAULT_GOAL := lab

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; ok = (3, 10) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else 'This course needs Python 3.10 to 3.13; $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12' % sys.version_info[:2])"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable ".[lab,test]"
	@touch $(READY)

lab: $(READY)
	$(BIN)/lessons fetch
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

test: unit notebooks

unit: $(READY)
	$(BIN)/lessons fetch
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope tests

notebooks: $(READY)
	$(BIN)/lessons fetch
	OMP_NUM_THREADS=1 LESSONS_BUDGET=cpu $(BIN)/python -m pytest $(NBVAL) -n 2 --dist loadscope notebooks

run: $(READY)
	$(BIN)/lessons run $(LESSON)

refresh: $(READY)
	$(BIN)/lessons refresh $(LESSON)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

browser: $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable ".[lab,test,browser]"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/browser

bench: $(READY)
	$(BIN)/python -m benchmarks

colab: $(READY)
	$(BIN)/lessons colab --repo "$(REPO)"
