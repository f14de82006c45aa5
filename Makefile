# The two commands of the README, `make run` and `make test`, do all set-up by themselves.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup learn run test check lint bench soak

BIN := .venv/bin

help: ## List the targets.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 8

setup: ## Build .venv with the console script; does nothing when it is up to date.
	@.ci/setup

learn: ## The same, with what training needs: 3 GB more to download. It stays until .venv is removed.
	@.ci/setup --train

run: setup ## Start the paper daemon on embedded data (Ctrl-C stops it in order).
	@exec $(BIN)/argonaut run configs/paper.toml

# Bytecode is kept whatever the environment says: hundreds of daemons start here.
test: lint ## Run the linters and all tests.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

check: lint ## Run the linters and the architecture tests: what must stay true of the tree.
	@$(BIN)/python -m pytest -q tests/architecture

# The learning plane is checked and tested, too.
lint: learn
	@$(BIN)/ruff format --check --quiet --output-format=concise . || { echo "make: run $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet --output-format=concise .
	@$(BIN)/mypy --num-workers=auto
	@$(BIN)/lint-imports --no-logo

bench: learn ## Measure speed and memory; rewrites the table in benchmarks/README.md.
	@exec $(BIN)/python -m benchmarks

SEEDS := 50000
KILLS := 1000
CRASHES := tests/acceptance/test_crash.py tests/acceptance/test_crash_at_calls.py

soak: setup ## Run SEEDS simulated bad days, KILLS kills and one at every call, then the daemon for long: nothing breaks or grows.
	@$(BIN)/python -m benchmarks.simulation --seeds $(SEEDS)
	@ARGONAUT_KILLS=$(KILLS) ARGONAUT_KILLS_AT_CALLS=0 $(BIN)/python -m pytest --numprocesses=auto --dist=load $(CRASHES)
	@exec $(BIN)/python -m benchmarks.soak
