SHELL := /bin/bash
PYTHON ?= python3
TORCH := torch==2.13.0
# Program that a test calls, and the Debian package that has it.
PROGRAMS := storescu:dcmtk dciodvfy:dicom3tools Orthanc:orthanc chromium:chromium chromedriver:chromium-driver \
	pdftoppm:poppler-utils pg_ctlcluster:postgresql openssl:openssl
# ".venv" runs the light package, ".venv-dev" everything; both have bin/cacseg.
LIGHT := .venv/.ready
DEV := .venv-dev/.ready

.PHONY: help demo test check bench format system clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

demo: $(LIGHT)  ## generate a synthetic study, score it, say where the report lies
	rm -rf demo
	.venv/bin/cacseg phantom demo/study --seed 7 --count 1
	.venv/bin/cacseg infer demo/study/* -o demo/out
	@echo "Report: demo/out/report.html"

test: $(DEV) system  ## run the whole suite
	.venv-dev/bin/python -m pytest

check: $(DEV)  ## format, lint, types, import contracts, spelling
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/ruff check .
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports
	.venv-dev/bin/codespell

bench: $(DEV)  ## measure speed and memory
	.venv-dev/bin/python benchmarks/main_job.py

format: $(DEV)  ## rewrite files in the house format
	.venv-dev/bin/ruff format .
	.venv-dev/bin/ruff check --fix .

$(LIGHT): pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet --no-compile --editable .
	touch $@

$(DEV): pyproject.toml
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python -m pip install --quiet --upgrade pip
	.venv-dev/bin/python -m pip install --quiet $(TORCH)
	.venv-dev/bin/python -m pip install --quiet --editable ".[train,serve,openvino,dev]" $(TORCH)
	touch $@

system:  ## install the system programs that tests talk to (Debian, as root), else say which are absent
	@absent=""; for pair in $(PROGRAMS); do \
	  command -v $${pair%%:*} >/dev/null || absent="$$absent $${pair##*:}"; done; \
	if [ -z "$$absent" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$absent >/dev/null; \
	elif [ -n "$${CACSEG_CI:-}" ]; then echo "CI needs:$$absent" >&2; exit 1; \
	else echo "Absent, their tests are skipped:$$absent" >&2; fi

clean:  ## remove environments and what tests and the demo made
	rm -rf .venv .venv-dev demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
