# One command each: make demo, make test. Everything is installed into .venv, with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
# Raw files beside the checkout, if there are any; otherwise data sets are downloaded when they are asked for.
export RETHINKING_DATA ?= $(abspath $(wildcard ../shared/data))
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where the environment forbids to keep bytecode, each process of the tests would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-learned demo-complement test test-slow lint bench growth costs calibration faults results clean

help:        ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready  ## create the environment and install

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@echo "Installing into .venv; with everything to be downloaded, some two minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --constraint constraints.txt --no-deps torch-geometric-pool
	@touch $@

demo: setup  ## train Graclus and Complement on the bundled data set and print the table
	@echo "Training Graclus with neighbours and, beside it on a second core, with nodes that are not connected."
	@$(MAKE) --no-print-directory --jobs=2 demo-learned demo-complement
	$(DEMO) pooling=learned,complement

DEMO := $(BIN)/rethinking run -m model=graclus dataset=digits seeds=5 trainer.max_epochs=60

# One of the two shows how it gets on, for both take alike. What went wrong in either, the sweep over both tells: it
# finds their runs done or failed, or trains what is missing, and its exit status is that of the demo.
demo-learned:
	@$(DEMO) pooling=learned > /dev/null || true

demo-complement:
	@$(DEMO) pooling=complement > /dev/null 2>&1 || true

test: setup  ## the tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

test-slow: setup  ## all tests, those that take minutes too, and what only they need
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,wandb,mlflow]'
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 -m ''

lint: setup  ## ruff and the type check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup  ## our speed beside a plain PyG loop and beside the floor, on one core (minutes)
	$(BIN)/python -m scripts.bench

growth: setup  ## how the time of an epoch grows with seeds, batch, width, graphs and nodes (minutes)
	$(BIN)/python -m scripts.growth

costs: setup  ## time and memory of every family on every data set, as docs/costs.md (an hour)
	$(BIN)/python -m scripts.costs

calibration: setup  ## whether verdicts hold what they promise, on made-up data sets (a quarter of an hour)
	$(BIN)/python -m scripts.calibration

faults: setup  ## what happens to a sweep when everything around it goes wrong, as docs/faults.md (two hours)
	$(BIN)/python -m scripts.faults

results: setup  ## render tables, figures, the report and the answer in README.md from results/
	for table in 1 2 3 S1 S2 S3 S4 S5; do $(BIN)/rethinking table $$table --runs none --format markdown > results/table$$table.md; done
	for suite in control gcb poolers; do $(BIN)/rethinking table $$suite --runs none --format markdown > results/$$suite.md; done
	$(BIN)/rethinking table src_autoencoder src_spectral src_classification --runs none --format markdown > results/src.md
	for study in src_autoencoder src_spectral; do $(BIN)/rethinking table $$study --runs none --format csv > results/$$study.csv; done
	$(BIN)/rethinking compare --runs none --format markdown > results/compare.md
	$(BIN)/rethinking compare --runs none --format markdown compare.reference=none > results/no_pooling.md
	$(BIN)/rethinking compare --runs none --format markdown --dataset gcb_easy gcb_hard > results/compare_gcb.md
	$(BIN)/rethinking figure --runs none --to results/figures
	$(BIN)/rethinking report --runs none --to results/report.html
	$(BIN)/python -m scripts.answer

clean:       ## remove the environment and caches (runs stay)
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
