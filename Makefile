# Two commands: `make demo` shows what chueok does, `make check` proves it. Both install what they need into .venv.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
export CHUEOK_CACHE ?= $(CURDIR)/.cache/chueok

.PHONY: help install tools demo check docs bench clean

help:
	@echo "make demo    install, build a sample album, index it, find a person, copy the photos, print the lookalike"
	@echo "make check   install, then format, lint, types, layers, tests, docs"
	@echo "make docs    write docs/commands.md and the output in the README anew"
	@echo "make bench   measure against the plain facenet-pytorch script (needs CHUEOK_TEST_DATA, see docs/performance.md)"

install: .venv/installed

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "chueok needs Python 3.11, 3.12 or 3.13; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "== installing into .venv (the first time: torch with CUDA, some 5 GB and 3 minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[lab]' --group demo
	@touch $@

tools: .venv/tools

.venv/tools: .venv/installed
	@echo "== installing what the checks need"
	@$(BIN)/python -m pip install --quiet --editable '.[lab,faiss]' --group dev
	@touch $@

demo: install
	@echo "== a sample album of public-domain portraits"
	@$(BIN)/python examples/make_sample_album.py $(DEMO)/album
	@rm -rf $(DEMO)/photos-of-grace
	@PATH="$(CURDIR)/$(BIN):$$PATH" CHUEOK_LIBRARY="$(CURDIR)/$(DEMO)/library" sh examples/demo.sh $(DEMO)

check: tools
	@echo "== format";  $(BIN)/ruff format --check --quiet .
	@echo "== lint";    $(BIN)/ruff check --quiet .
	@echo "== types";   $(BIN)/mypy
	@echo "== layers";  $(BIN)/lint-imports
	@echo "== docs";    $(BIN)/python docs/generate.py --check
	@echo "== tests";   $(BIN)/pytest -n 2 --dist loadgroup

docs: tools
	@$(BIN)/python docs/generate.py

bench: tools
	@$(BIN)/python -m benchmarks.index
	@$(BIN)/python -m benchmarks.large
	@$(BIN)/python -m benchmarks.faces_found
	@$(BIN)/python -m benchmarks.detection
	@$(BIN)/python -m benchmarks.search

clean:
	rm -rf .venv .cache $(DEMO) build src/*.egg-info
