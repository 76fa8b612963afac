# Speechmill. `make help` lists what there is; nothing here needs a token, Docker or root.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3.11
PORT ?= 8080
SCHEDULES ?= off
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# An image is a folder under containers/ with a lock; stagekit has none, for every image has it on its path.
IMAGES := $(patsubst containers/%/requirements.txt,%,$(wildcard containers/*/requirements.txt))
VENVS := airflow $(IMAGES)
# What runs the demo; tools, what needs a GPU or Spark to be of use (5 GB, 0.9 GB), and the Hugging Face datasets that tests open
# releases with, are made when they are asked for.
RUN_STAMPS := $(VENVS:%=.venvs/%/.stamp)
GPU_VENVS := $(patsubst containers/%/requirements-gpu.txt,%-gpu,$(wildcard containers/*/requirements-gpu.txt))
SPARK_VENVS := $(patsubst containers/%/requirements-spark.txt,%-spark,$(wildcard containers/*/requirements-spark.txt))
DEV_STAMPS := $(GPU_VENVS:%=.venvs/%/.stamp) $(SPARK_VENVS:%=.venvs/%/.stamp) .venvs/test-tools/.stamp .venvs/lint/.stamp .venvs/hf/.stamp
PY := .venvs/airflow/bin/python

.PHONY: help setup envs demo serve stop airflow images test test-stack chaos known-answers known-answers-words lint types docs lock sbom audit clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make every environment under .venvs/ from its lock (a second run does nothing)
	@$(MAKE) -s -j$(JOBS) $(RUN_STAMPS) $(DEV_STAMPS)

envs: # what the demo and the server need
	@$(MAKE) -s -j$(JOBS) $(RUN_STAMPS)

demo: envs ## Harvest and release the samples through Airflow; prints where every second went
	@$(PY) -m scripts.demo

serve: envs ## Start Airflow with its UI on http://localhost:8080 (another port: make serve PORT=9090)
	@SPEECHMILL_SCHEDULES=$(SCHEDULES) $(PY) -m scripts.server start --port $(PORT)

stop: ## Stop the Airflow that `make serve` started
	@$(PYTHON) -m scripts.server stop

airflow: envs ## Run Airflow's command line beside the server that runs (make airflow ARGS="dags list-import-errors")
	@$(PY) -m scripts.server airflow $(ARGS)

test: setup ## Run all tests, each image's in its own environment (one part: make test PART=containers/align)
	@$(PYTHON) scripts/run_tests.py $(PART)

images: .venvs/airflow/.stamp ## Build the images that changed, with Docker (one: ONLY=align; to a registry: PUSH=europe-docker.pkg.dev/…)
	@$(PY) -m scripts.images $(ONLY) $(if $(PUSH),--push $(PUSH))

test-stack: setup images ## Test the images, the docker and kubernetes runners and docker-compose.yaml on this machine's Docker engine
	@$(PYTHON) scripts/run_tests.py stack

chaos: images ## SIGKILL of a stage, of Airflow's services and of the store in the middle of a run (half an hour; one: FAULT=scheduler)
	@$(PYTHON) tests/chaos/run.py $(FAULT)

known-answers: envs ## Measure the pipeline on recordings whose answers are known (an hour or more; less: make known-answers ARGS="--minutes 3 --hour 0")
	@.venvs/align/bin/python tests/known_answers/run.py $(ARGS)
	@$(MAKE) -s known-answers-words

known-answers-words: envs ## Its part on word times, per aligner (MFA where it is installed; less: make known-answers-words WORDS="--only espeak-en")
	@.venvs/align/bin/python tests/known_answers/words/run.py $(WORDS)

lint: .venvs/lint/.stamp ## Check style: Python (ruff) and Dockerfiles (hadolint)
	@.venvs/lint/bin/ruff check .
	@.venvs/lint/bin/hadolint containers/Dockerfile containers/*/Dockerfile tests/stack/*/Dockerfile

types: setup ## Check types (mypy), each image against its own environment
	@$(PYTHON) scripts/typecheck.py

docs: envs ## Generate docs/DAGS.md and docs/data-contract.md
	@$(PYTHON) scripts/make_docs.py

lock: .venvs/uv/.stamp ## Renew the locks after a requirements.in changed (newest versions: make lock UPGRADE=1)
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

sbom: envs .venvs/audit/.stamp ## Say what is in each image, in CycloneDX: build/sbom/ (with Debian's packages after make images)
	@$(PY) -m scripts.sbom sbom $(ONLY)

audit: envs .venvs/audit/.stamp ## List known vulnerabilities of the images' Python packages (one: ONLY=align; by OSV: SERVICE=osv)
	@$(PY) -m scripts.sbom audit $(ONLY) $(if $(SERVICE),--service $(SERVICE))

clean: stop ## Remove environments and Airflow's state (the warehouse stays)
	rm -rf .venvs .airflow build .mypy_cache .ruff_cache .pytest_cache

.venvs/uv/.stamp: requirements-uv.txt
	@scripts/check_python.sh $(PYTHON)
	@rm -rf .venvs/uv && $(PYTHON) -m venv .venvs/uv
	@.venvs/uv/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-uv.txt
	@touch $@

.venvs/airflow/.stamp: requirements.txt .venvs/uv/.stamp
	@scripts/venv.sh airflow $<

.venvs/test-tools/.stamp: requirements-test.txt .venvs/uv/.stamp
	@scripts/venv.sh test-tools $< overlay

.venvs/%-gpu/.stamp: containers/%/requirements-gpu.txt .venvs/uv/.stamp
	@scripts/venv.sh $*-gpu $<

.venvs/%-spark/.stamp: containers/%/requirements-spark.txt .venvs/uv/.stamp
	@scripts/venv.sh $*-spark $<

.venvs/%/.stamp: requirements-%.txt .venvs/uv/.stamp
	@scripts/venv.sh $* $<

.venvs/%/.stamp: containers/%/requirements.txt .venvs/uv/.stamp
	@scripts/venv.sh $* $<
