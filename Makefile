.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_PROCESSES ?= 4
TEST_IN_PARALLEL := $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder
UV_VERSION := 0.13.9
COMPOSE := docker compose -f docker/compose.yaml

.PHONY: help setup demo test durations test-faults check check-docker bench up down logs clean

help: ## show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

setup: $(VENV)/ready $(VENV)/compiled ## create .venv, install what requirements.lock names, compile the hot path where a C compiler is

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/compiled: $(VENV)/ready setup.py $(shell find processor schemas state hot_path -name '*.py')
	@$(BIN)/python -m hot_path.build

demo: $(VENV)/ready ## take the tour; BROKER=host:port or docker, KINESIS_ENDPOINT=http://127.0.0.1:PORT use others
	$(BIN)/profile-exporter demo

test: $(VENV)/ready ## run every test; BROKER=host:port or docker, KINESIS_ENDPOINT=http://127.0.0.1:PORT use others
	$(TEST_IN_PARALLEL) -m "not long and not quiet"
	$(BIN)/python -m pytest tests/faults tests/integration -m "quiet and not long"

durations: $(VENV)/ready ## run every test and record how long each takes, so that the slowest start first (tests/durations.json)
	$(TEST_IN_PARALLEL) -m "not long and not quiet" --record-durations

test-faults: $(VENV)/ready ## the long forms: every fault point, a hundred random kills, hundreds of Kinesis faults (by hand, about 50 minutes)
	$(BIN)/python -m pytest tests/faults -s

check: $(VENV)/ready check-docker ## lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

bench: setup ## measure the whole job beside Kafka Streams, Quix Streams and stock Faust, then core and delivery alone (by hand, an hour)
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.core --interpreted
	$(BIN)/python -m benchmarks.core
	$(BIN)/python -m benchmarks.delivery

check-docker: $(VENV)/ready ## lint docker/, as far as this machine has what it takes
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint docker/Dockerfile; else echo "NOT CHECKED, no hadolint: docker/Dockerfile"; fi
	@if docker compose version >/dev/null 2>&1; then $(COMPOSE) config -q; else echo "NOT CHECKED, no docker compose: docker/compose.yaml"; fi

up: ## start Kafka, a Kinesis endpoint and two workers with Docker
	$(COMPOSE) up --build --detach

down: ## stop them and remove their data
	$(COMPOSE) down --volumes

logs: ## follow what they say
	$(COMPOSE) logs --follow

clean: ## remove the environment and caches
	rm -rf $(VENV) .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis
