# `make demo` and `make test` do all set-up themselves; see README.md.
PYTHON ?= python3
CLARA := .venvs/clara/bin
AIRFLOW := .venvs/airflow/bin
TESTS ?= tests

.PHONY: help setup setup-tests demo test quick lint format types e2e e2e-kube fuzz bench bench-stages bench-compile docs locks clean

help: ## Show what there is to make
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Make the three environments (a minute the first time, a second afterwards)
	@$(PYTHON) -m clara_ops.laptop.setup

setup-tests:
	@$(PYTHON) -m clara_ops.laptop.setup --tests

demo: setup ## Send real CT series through the whole product and show the result; ONCE=1 checks it and stops
	@$(CLARA)/clara-laptop demo $(if $(ONCE),--once)

test: setup-tests lint types quick e2e ## Everything that needs no cluster: lint, types, quick tests, end-to-end tests

quick: setup ## The tests that need no servers
	$(CLARA)/python -m pytest tests -q -m "not e2e and not kube and not airflow" -n 2
	$(AIRFLOW)/python -m pytest tests/dag tests/localkube -q -m "airflow and not e2e and not kube"

e2e: setup-tests ## The tests that start real peers: Airflow, Triton, Orthanc, DCMTK, Chromium
	$(CLARA)/python -m pytest tests -q -m "e2e and not airflow and not kube" -n 2 --dist loadfile --durations=25
	$(AIRFLOW)/python -m pytest tests/dag tests/localkube -q -m "airflow and e2e"
	.venvs/airflow34/bin/python -m pytest tests/dag/test_importer.py tests/dag/test_compile.py -q

e2e-kube: setup-tests ## The main job, and all that stages can meet, on the Kubernetes of KUBECONFIG
	@test -n "$(KUBECONFIG)" || { echo "e2e-kube: set KUBECONFIG to the kubeconfig of a cluster"; exit 2; }
	$(CLARA)/python -m pytest tests/kube -q -m kube

lint: setup ## ruff: lint and format
	$(CLARA)/ruff check .
	$(CLARA)/ruff format --check .

format: setup ## Let ruff mend what it can
	$(CLARA)/ruff check --fix .
	$(CLARA)/ruff format .

types: setup ## mypy, strict, in both environments
	$(CLARA)/mypy clara_ops/contract clara_ops/imaging clara_ops/deid clara_ops/workflow clara_ops/driver clara_ops/stages \
	  clara_ops/inference clara_ops/localkube clara_ops/laptop clara_ops/cli clara dicom_listener bench --exclude bench/compilation/run_
	$(AIRFLOW)/mypy clara_ops/dag bench/compilation/run_ours.py bench/compilation/run_theirs.py

fuzz: setup ## Damage the inputs of the DICOM stages at random, for FUZZ_SECONDS (3600 by default)
	CLARA_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),3600) $(CLARA)/python -m pytest tests/stages tests/deid -q -s -k in_the_long_run

bench: setup ## Measure; the figures go into docs/benchmarks.md
	$(CLARA)/python -m bench.main_job

bench-stages: setup ## Measure dicom-reader and dicom-writer against their peers; ARGS="reader --rounds 5"
	$(CLARA)/python -m bench.dicom_stages $(ARGS)

docs: setup ## Write docs/workflow.md and the JSON Schemas anew from the models
	$(CLARA)/python -m clara_ops.workflow.reference

bench-compile: setup ## Measure how fast workflows become DAGs, beside dag-factory (about ten minutes)
	$(CLARA)/python -m bench.compilation

locks: ## Lock anew what pyproject.toml asks for
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml \
	  --extra airflow --extra dev -o requirements/airflow.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml \
	  --extra workflow --extra listener --extra stages --extra inference --extra localkube --extra cli --extra dev \
	  -o requirements/clara.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml \
	  --extra workflow --extra listener --extra stages --extra inference -c requirements/clara.txt \
	  -o requirements/image.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --prerelease if-necessary-or-explicit requirements/airflow34.in -o requirements/airflow34.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  requirements/triton.in -o requirements/triton.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-deps \
	  requirements/triton-server.in -o requirements/triton-server.txt

clean: ## Remove the demo's state (images it received included); the environments stay
	rm -rf .clara
