# The commands of the project; `make help` lists them. USING.md says what they do.
#   make tutorial ONLY=02,03 PARAMS="02.memory=64m" JOBS=2 CELL_TIMEOUT=300 OUT=folder
#   make lab NETWORK=1 (the lab VM gets a way out)
#   make … PYTHON=/usr/bin/python3.12 (which interpreter)   VENV=folder (where the Python packages go)
SHELL := /bin/bash
VENV ?= .venv
PORT ?= 8888
IP ?= 127.0.0.1
export VENV PYTHON ONLY PARAMS JOBS CELL_TIMEOUT OUT
# This checkout's lib, in notebooks and in every process of theirs, also when VENV is another checkout's.
export PYTHONPATH := $(CURDIR)
# (Not by make's own abspath: to that a space is the end of a name.)
RUN := "$(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin/python"

.PHONY: help tutorial test coverage soak test-vagrant test-arm64 lab outputs picture bench doctor setup setup-peers setup-vagrant setup-arm64 setup-python lock clean uninstall
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## *' '/^[a-z0-9-]+:.*##/ { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tutorial: setup  ## install what is missing, run every chapter, write notebooks and pages to build/
	@$(RUN) -m lib.lab.jupyter.batch

test: setup-peers  ## all checks and tests, every notebook included
	@$(RUN) tools/check.py

coverage: setup-peers  ## which lines of lib the tests reach, as a table (about an hour)
	@$(RUN) tools/check.py coverage

soak: setup  ## 200 containers that print for ten minutes, 1,000 in a row; chapter 5 in the lab VM: what takes too long for `make test` (as root)
	@SUITCASE_SOAK=1 $(RUN) -m pytest -rP tests/engine/daemons/test_load.py
	@SUITCASE_SOAK=1 $(RUN) tools/check.py lab

lab: setup  ## JupyterLab with the notebooks and both kernels, on this machine's loopback address
	@$(RUN) -m lib.lab install $(if $(NETWORK),--network) || [ $$? = 3 ]  # 3: no lab VM on this machine; the reason has been said
	@[ "$$(id -u)" != 0 ] || echo "You are root, so every cell is root too: run only notebooks that you trust. The link below holds a secret token." >&2
	@echo "Browser on another machine? There: ssh -L $(PORT):127.0.0.1:$(PORT) YOU@THIS_MACHINE, then open the link. Ctrl-C here ends JupyterLab." >&2
	@cd notebooks && exec $(RUN) -m jupyterlab --ip=$(IP) --port=$(PORT) --no-browser --LabApp.app_settings_dir="$(CURDIR)/lib/lab/jupyter/settings" $(if $(filter 0,$(shell id -u)),--allow-root)

test-vagrant: setup-vagrant  ## boot a virtual machine by Vagrant and libvirt, without KVM, and ask it for everything (some ten minutes)
	@tests/vagrant/run.sh

test-arm64: setup-arm64  ## boot an emulated arm64 machine and run tests and chapters in it (about half an hour)
	@tests/arm64/run.sh

outputs: setup  ## run the chapters in place, so that the committed outputs are from this code (CHECK=1: only compare)
	@$(RUN) -m lib.lab.jupyter.notebooks outputs $(if $(CHECK),--check)

picture: setup  ## draw ARCHITECTURE.svg from the imports as they are
	@$(RUN) tools/picture.py

bench: setup-peers  ## measure beside Docker, Podman, runc and others; writes build/bench.json
	@$(RUN) -m lib.lab.bench.bench

doctor: setup-python  ## what this machine has, what it lacks, what that costs
	@$(RUN) -m lib.lab || [ $$? = 1 ]  # 1: something is missing; the table has said it, and it is no error of make's

setup:
	@tools/setup.sh chapters lab python bases

setup-peers:
	@tools/setup.sh chapters lab beside peers python bases

setup-vagrant:
	@tools/setup.sh chapters peers vagrant

setup-arm64:
	@tools/setup.sh chapters peers arm64

setup-python:
	@tools/setup.sh python

lock: setup-python  ## write requirements.lock, environment.yml and binder/ from pyproject.toml
	@$(RUN) tools/lock.py

clean:  ## remove what runs have made here (build/ and caches); the containers' store stays
	@rm -rf build .pytest_cache .ruff_cache .import_linter_cache .coverage
	@find . -path ./.venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -print0 | xargs -0 rm -rf

uninstall:  ## remove everything: build/, the store, the Python packages (APT=1: also the Debian packages that setup brought)
	@tools/uninstall.sh $(if $(APT),--apt)
