# What a person types. Everything below runs in .venv, which the targets make and bring up to date
# themselves; nothing is written outside .venv, .cache and dist.

PYTHON := .venv/bin/python
GATES := $(PYTHON) -m scripts.gates
# More arguments for pytest and the benchmarks: make unit ARGS='-k retention -x', make bench ARGS='--quick'
ARGS ?=
# One scenario of molecule/ instead of all: make molecule SCENARIO=default
SCENARIO ?=
# Two at a time: much of a test is waiting for a server or a program.
PYTEST := $(PYTHON) -m pytest --quiet --numprocesses 2 --dist loadfile $(ARGS)

.DEFAULT_GOAL := help
# The targets share .cache and the processors; the gates spread themselves over the latter.
.NOTPARALLEL:
.PHONY: help demo demo-clean test gates lint sanity importer build unit integration faults molecule test-long bench \
	format lock venv venv-base clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

##  For everybody

demo: venv-base ## back up an embedded PostgreSQL 18 and show what was made
	@$(PYTHON) -m demo

demo-clean: venv-base ## stop the demo's server and remove all that the demo made
	@$(PYTHON) -m demo clean

##  For those who work on it

test: gates unit integration faults molecule ## everything that CI runs

lint: venv ## ruff, mypy, ansible-lint, yamllint, shellcheck, antsibull-docs, antsibull-changelog
	@$(GATES) lint

sanity: venv ## ansible-test sanity, with every Python from 3.9 on that is found
	@$(GATES) sanity

importer: venv ## what Galaxy checks when the collection is uploaded
	@$(GATES) importer

build: venv ## the Galaxy artefact and the wheel, in dist/
	@$(GATES) build

# All four in one go, side by side.
gates: venv
	@$(GATES) lint sanity importer build

unit: venv ## tests that need no server
	@$(PYTEST) tests/unit

integration: venv ## tests against real PostgreSQL servers
	@$(PYTEST) tests/integration

faults: venv ## tests in which something breaks at the worst moment
	@$(PYTEST) tests/faults

molecule: venv ## hosts in containers: from bare to protected, the client, the emergency (root; SCENARIO=default)
	@$(PYTHON) -m scripts.molecule $(SCENARIO)

test-long: venv ## backup and drill of databases that take minutes, with their figures
	@$(PYTHON) -m pytest --quiet -s $(ARGS) tests/long

bench: venv ## measure against the peers; writes benchmarks/results.* (short: ARGS=--quick)
	@$(PYTHON) -m benchmarks $(ARGS)

format: venv ## let ruff format the code and fix what it can
	@$(PYTHON) -m ruff check --quiet --fix-only .
	@$(PYTHON) -m ruff format --quiet .

lock: venv ## pin requirements/*.in again after a change (UPGRADE=1: newest versions)
	@UPGRADE=$(UPGRADE) sh scripts/lock.sh

venv: ## make .venv, or bring it up to date
	@sh scripts/venv.sh test

venv-base:
	@sh scripts/venv.sh base

clean: ## remove dist and the results of the gates, so that every one runs again
	@rm -rf dist .cache/ansible .cache/ansible-test .cache/importer .cache/mypy .cache/passed .cache/pytest \
		.cache/pythons .cache/ruff .cache/screenshots .cache/shipped .cache/stage .hypothesis
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv and .cache as well
	@rm -rf .venv .cache
