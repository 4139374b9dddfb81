# make demo | test | test-quick | test-long | check | coverage | docs | dist | bench | lock | clean. Safe to run again: each step of the set-up leaves a stamp.

PYTHON  ?= python3# 3.11 or newer; only makes the environment
WORKERS ?= 3# processes for the tests

VENV := .venv
BIN  := $(VENV)/bin
PEERS := .venv-peers
SEQUENCES := .venv-peers-sequences
RIVALS := .venv-peers-rivals
OFF_POLICY := .venv-peers-off-policy
SPARK := .venv-peers-spark
TOOLKITS := .venv-peers-toolkits
PIP  := $(BIN)/python -m pip --disable-pip-version-check --require-virtualenv
# What a platform's build of torch is made of; left out of the hashed lock and to pip (see requirements/torch.txt).
TORCH_BUILD := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cccl \
        nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile \
        nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
        nvidia-nvshmem-cu13 nvidia-nvtx

LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command "make lock"

# A half-written target would look finished to the next run.
.DELETE_ON_ERROR:
.PHONY: demo test test-quick test-long check coverage docs dist bench lock clean system

demo: $(VENV)/.serve
	$(BIN)/palate demo --out palate-demo

test: system $(VENV)/.hf
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not hf and not long"

test-long: system $(VENV)/.hf
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m long

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src/palate

# Of the quick tests; fails below the floor in pyproject.toml. Which lines no test runs is printed at the end.
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not hf and not long" \
	    --cov --cov-report=term-missing:skip-covered

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The files of a release in dist/: built, checked, installed and tried on each supported Python of this machine;
# `make dist PYTHONS="python3.11 elsewhere/bin/python3.13"` says which, all of which have to be there.
dist: $(VENV)/.dev
	$(BIN)/python .ci/dist.py $(PYTHONS)

# One after another, so that no timing is disturbed by its neighbour; names with _ in front are shared helpers.
bench: $(VENV)/.hf $(PEERS)/.made $(SEQUENCES)/.made $(RIVALS)/.made $(OFF_POLICY)/.made $(SPARK)/.made $(TOOLKITS)/.made
	@set -e; for file in benchmarks/[a-z]*.py; do \
	    name=$$(basename $$file .py); echo "benchmarks.$$name"; \
	    $(BIN)/python -m benchmarks.$$name --json > benchmarks/results/$$name.json.part; \
	    mv benchmarks/results/$$name.json.part benchmarks/results/$$name.json; \
	done

# Keeps every version that still fits; `make lock UPGRADE=--upgrade` takes the newest of all.
lock: $(VENV)/.dev
	$(LOCK) $(UPGRADE) --output-file requirements/light.txt
	$(LOCK) $(UPGRADE) --extra dev --extra serve --extra traces --extra postgres --extra scale --extra federated --extra mlflow --extra peers --constraint requirements/light.txt --output-file requirements/dev.txt
	$(LOCK) $(UPGRADE) --extra serve --constraint requirements/dev.txt --output-file requirements/serve.txt
	$(LOCK) $(UPGRADE) --extra hf --extra image --extra audio --extra dev-hf --constraint requirements/dev.txt \
	    --output-file requirements/hf.txt \
	    $(addprefix --no-emit-package ,$(TORCH_BUILD))
	$(BIN)/uv pip compile requirements/peers.in --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file requirements/peers.txt
	$(BIN)/uv pip compile requirements/peers-rivals.in --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file requirements/peers-rivals.txt
	$(BIN)/uv pip compile requirements/peers-spark.in --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file requirements/peers-spark.txt
	$(BIN)/uv pip compile requirements/peers-sequences.in --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file requirements/peers-sequences.txt \
	    $(addprefix --no-emit-package ,$(TORCH_BUILD))
	$(BIN)/uv pip compile requirements/peers-off-policy.in --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file requirements/peers-off-policy.txt \
	    $(addprefix --no-emit-package ,$(TORCH_BUILD))
	$(BIN)/uv pip compile pyproject.toml requirements/peers-toolkits.in --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file requirements/peers-toolkits.txt \
	    $(addprefix --no-emit-package ,$(TORCH_BUILD))

clean:
	rm -rf $(VENV) $(PEERS) $(SEQUENCES) $(RIVALS) $(OFF_POLICY) $(SPARK) $(TOOLKITS) palate-demo build dist site mutants .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: each stamp needs the one before, so that `make -j` never runs two installations at once ----

# No stamp, no environment: one that was interrupted half-way is made anew.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Palate needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.light: $(VENV)/.made requirements/light.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements/light.txt
	$(PIP) install --quiet --no-deps --editable .
	@touch $@

# What `palate serve` needs beside: the demo ends with a page in a browser.
$(VENV)/.serve: $(VENV)/.light requirements/serve.txt
	$(PIP) install --quiet --require-hashes -r requirements/serve.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.light requirements/dev.txt
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# torch alone and by exact version, so that pip takes the build that the machine offers (a CPU build where one lies at hand);
# as somebody's dependency it could be swapped for a CUDA build of several GB. All the rest is hashed and brings nothing along.
$(VENV)/.hf: $(VENV)/.dev requirements/hf.txt requirements/torch.txt requirements/alone.txt
	$(PIP) install --quiet --require-hashes --no-deps -r requirements/hf.txt
	$(PIP) install --quiet -r requirements/torch.txt
	$(PIP) uninstall --quiet --yes musicnn
	$(PIP) check
	$(PIP) install --quiet --require-hashes --no-deps -r requirements/alone.txt
	@touch $@

# Peers whose versions do not go with ours; the benchmarks run them as processes of their own.
$(PEERS)/.made: requirements/peers.txt requirements/peers-alone.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/peers.txt
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r requirements/peers-alone.txt
	@touch $@

$(RIVALS)/.made: requirements/peers-rivals.txt
	$(PYTHON) -m venv --clear $(RIVALS)
	$(RIVALS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/peers-rivals.txt
	@touch $@

# It also needs a Java: apt-get install openjdk-17-jre-headless. With libopenblas0-pthread it calculates by that.
$(SPARK)/.made: requirements/peers-spark.txt
	$(PYTHON) -m venv --clear $(SPARK)
	$(SPARK)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/peers-spark.txt
	@touch $@

# torch as above: alone, by exact version, after all the rest.
$(SEQUENCES)/.made: requirements/peers-sequences.txt requirements/torch.txt
	$(PYTHON) -m venv --clear $(SEQUENCES)
	$(SEQUENCES)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps \
	    -r requirements/peers-sequences.txt
	$(SEQUENCES)/bin/python -m pip --disable-pip-version-check install --quiet -r requirements/torch.txt
	$(SEQUENCES)/bin/python -m pip --disable-pip-version-check check
	@touch $@

$(OFF_POLICY)/.made: requirements/peers-off-policy.txt requirements/torch.txt
	$(PYTHON) -m venv --clear $(OFF_POLICY)
	$(OFF_POLICY)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps \
	    -r requirements/peers-off-policy.txt
	$(OFF_POLICY)/bin/python -m pip --disable-pip-version-check install --quiet -r requirements/torch.txt
	@touch $@

# With what Palate needs, so that the adapters run in it: PYTHONPATH=src.
$(TOOLKITS)/.made: requirements/peers-toolkits.txt requirements/torch.txt
	$(PYTHON) -m venv --clear $(TOOLKITS)
	$(TOOLKITS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps \
	    -r requirements/peers-toolkits.txt
	$(TOOLKITS)/bin/python -m pip --disable-pip-version-check install --quiet -r requirements/torch.txt
	$(TOOLKITS)/bin/python -m pip --disable-pip-version-check check
	@touch $@

# strace injects the disk errors of the fault tests, curl is what the README calls the service with, Chromium opens the pages,
# HAProxy stands before several services; where one cannot be had its tests are skipped and say so.
SYSTEM := strace curl chromium haproxy
system:
	@if ! { command -v strace && command -v curl && command -v chromium && command -v haproxy; } >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM)) >/dev/null 2>&1 \
	        || echo "$(SYSTEM) could not all be installed: the tests that need them will be skipped."; \
	fi
