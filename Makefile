# `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Nothing without a hash: the locks name all there is, and what comes as source is built with the setuptools of the lock.
# What is never imported need not be compiled: that is most of it, and half of the set-up's time.
LOCKED := $(PIP) --require-hashes --no-deps --no-build-isolation --no-compile
TOOLS := build/tools

PROFILE ?= demo
DATASETS ?=
SOURCE ?=
RAW ?=
SEEDS ?=
EPOCHS ?=
SCALE ?=
DEVICE ?=
RESULTS ?=
CORES ?=
CLUSTER ?=
PARAMETERS ?=

.PHONY: help setup reproduce own site archive test torture mutants lab data notebooks bench lint lock audit test-slurm

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'make reproduce PROFILE=paper DATASETS="mimic3 hapt" SOURCE=real RAW=folder SEEDS=3 EPOCHS=30'

setup: $(VENV)/.ready  ## create .venv from requirements.lock, only when it is out of date

$(VENV)/.ready: requirements.lock requirements-cuda.lock requirements-cpu.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 setup")'
	@echo "setting up $(VENV) from requirements.lock (a few minutes the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.lock | $(LOCKED) -r /dev/stdin
	@$(LOCKED) -r requirements-cpu.lock 2>/dev/null || true
	@$(LOCKED) -r requirements.lock
	@$(BIN)/python -c 'from importlib.metadata import requires; raise SystemExit("nvidia" in str(requires("torch")))' \
		|| $(LOCKED) -r requirements-cuda.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@hook=$$(git rev-parse --git-path hooks/pre-commit 2>/dev/null) && [ ! -e "$$hook" ] && install -D .ci/pre-commit "$$hook" || true
	@touch $@

$(VENV)/.ready-%: profiles/%/requirements.txt $(VENV)/.ready
	@$(LOCKED) -r $<
	@touch $@

reproduce: setup $(if $(wildcard profiles/$(CLUSTER)/requirements.txt),$(VENV)/.ready-$(CLUSTER))  ## run the paper's pipeline and the other systems; PROFILE, DATASETS, SOURCE, RAW, SEEDS, EPOCHS, SCALE, DEVICE, RESULTS, CORES, CLUSTER=slurm
	@$(BIN)/python -m rdpd_nb.reproduce --profile "$(PROFILE)" --datasets "$(DATASETS)" --source "$(SOURCE)" \
		--raw "$(RAW)" --seeds "$(SEEDS)" --epochs "$(EPOCHS)" --scale "$(SCALE)" --device "$(DEVICE)" \
		--results "$(RESULTS)" --cores "$(CORES)" --cluster "$(CLUSTER)"

site: setup  ## the profile's executed notebooks, tables and figures as a web site in build/site; PROFILE, RESULTS
	@$(BIN)/python docs/website.py --profile "$(PROFILE)" --results "$(RESULTS)"

archive: setup  ## pack the executed notebooks behind figures/PROFILE into archives beside them, to be committed; PROFILE, RESULTS
	@$(BIN)/python docs/executed.py --profile "$(PROFILE)" --results "$(RESULTS)"

own: setup  ## train on your own sensors and leave a report and a student: PARAMETERS=mine.yaml (none: the embedded Brugada)
	@$(BIN)/python -m rdpd_nb.report --parameters "$(PARAMETERS)"

test: setup  ## unit tests, the workflow on a tiny profile, and nbval on all notebooks
	@$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile

torture: setup  ## bad input, kills and full disks by the hundred (under an hour); not part of make test
	@$(BIN)/python -m pytest -q tests/torture

test-slurm: setup $(VENV)/.ready-slurm  ## a reproduction on a real SLURM of one node, with jobs and daemons killed; as root on Debian
	@$(BIN)/python -m pytest -q -s tests/slurm

mutants: setup  ## small changes of the code, one by one: do the tests notice? MODULES="losses tables", MINUTES=60, SAMPLE=100 of each
	@$(BIN)/python tests/mutants.py $(MODULES) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SAMPLE),--sample $(SAMPLE))

lab: setup  ## open JupyterLab
	@$(BIN)/jupyter lab notebooks

data: setup  ## download all but MIMIC-III (2.7 GB) into RAW or data/raw; or only DATASETS="dsads"
	@RDPD_RAW="$(or $(RAW),$(RDPD_RAW))" $(BIN)/python -m rdpd_nb.data $(DATASETS)

notebooks: setup  ## execute the committed notebooks in place, with their defaults
	@$(BIN)/jupyter nbconvert --log-level WARN --to notebook --execute --inplace notebooks/*.ipynb
	@$(BIN)/nbstripout --keep-output --keep-count --extra-keys "metadata.language_info cell.metadata.execution" notebooks/*.ipynb

bench: setup  ## time training and reading (4 min, on a machine that does nothing else); writes benchmarks/results.json and .png; FULL=1: PAMAP2 at 1.3 GB too
	@$(BIN)/python benchmarks/run.py $(if $(FULL),--full)

lock: $(TOOLS)/.ready  ## write the locks anew after a change of pyproject.toml; ARGS="--upgrade-package numpy"
	@$(TOOLS)/bin/python .ci/lock.py $(ARGS)

audit: $(TOOLS)/.ready  ## look the locked packages up among known vulnerabilities; skipped where nobody can be asked
	@$(TOOLS)/bin/python .ci/audit.py $(ARGS)

$(TOOLS)/.ready: Makefile
	@$(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 pip-audit==2.10.1
	@touch $@

lint: setup  ## ruff, for code and notebooks
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
