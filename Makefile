# Everything a reader or an author does. `make` alone prints the list.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env read test lint unit structure compare html page page-report lab execute chapter bench timings mutants code-mutants seeds faults machines safety lock audit clean

VENV := .venv
BIN := $(VENV)/bin/python
TOOLS := _build/tools
READY := $(VENV)/.ready
ASSETS := node_modules/.ready
WITH_NODE := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
NOTEBOOKS := $(wildcard book/*/*.ipynb)
WORKERS := -n 2 --dist loadfile
# What has shapes is checked as it runs. The checker has none, and counts its own calls: it is tested as it is.
CHECKED := derivable.probability,derivable.training,derivable.attention,derivable.generative,derivable.sequences,derivable.systems,derivable.evidence

export OMP_NUM_THREADS := 1
export PYTHONUTF8 := 1
export PYTHONNOUSERSITE := 1

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# ---- The environment. A stamp is written last, so an interrupted installation starts again from nothing.

env: $(READY) ## Make the virtual environment in .venv (every other target does this first)

$(VENV)/.installed: requirements.txt requirements.lock
	@for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3) ''; do \
	    $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; \
	 done; \
	 if [ -z "$$python" ]; then \
	    echo "No Python 3.11 or newer with the venv module was found. Install one, or name it: make PYTHON=/path/to/python"; exit 1; \
	 fi; \
	 echo "== Environment: $$($$python --version) in $(VENV); the installation takes a few minutes, once"; \
	 rm -rf $(VENV) && $$python -m venv $(VENV)
	@$(BIN) -m pip install -qq --no-input --disable-pip-version-check --require-hashes --no-deps --requirement requirements.lock
	@$(BIN) -m pip install -qq --no-input --disable-pip-version-check --requirement requirements.txt
	@$(BIN) -m pip check
	@touch $@

$(READY): $(VENV)/.installed pyproject.toml
	@$(BIN) -m pip install -qq --no-input --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# What the pages serve themselves: mathematics, fonts, Python for the browser. npm comes with the environment.
$(ASSETS): package.json package-lock.json | $(READY)
	@echo "== Assets of the pages in node_modules"
	@$(WITH_NODE) npm ci --silent --no-audit --no-fund && touch $@ || \
	 { echo "npm ci failed: the book will do without typeset formulas and live cells" >&2; [ "$$CI" != true ]; }

# ---- Reading

read: html ## Build the book and serve it on this machine
	@$(BIN) -m derivable.book.serve _build/html

html: $(READY) $(ASSETS) ## Build the HTML in _build/html; a warning is an error
	@echo "== Book: HTML from the stored outputs"
	@$(WITH_NODE) $(VENV)/bin/jupyter-book build . --quiet --warningiserror --keep-going

lab: $(READY) ## Open JupyterLab on the chapters (the .md files open as notebooks)
	@JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter" $(BIN) -m jupyterlab --LabApp.default_url=/lab/tree/chapters

# ---- Writing

execute: $(READY) ## Re-run the changed chapters (CHAPTER=name for one, ALL=1 for all) and refresh book/
	@$(BIN) -m derivable.book.execute $(if $(ALL),--all) $(CHAPTER)

chapter: $(READY) ## Start a chapter: make chapter PART=training TOPIC=weight-decay TITLE="Weight decay"
	@$(BIN) -m derivable.book.new "$$PART" "$$TOPIC" "$$TITLE"

bench: $(READY) ## Time the shared code against its peers (TOPIC=name for one); see benchmarks/requirements-peers.txt
	@$(BIN) -m benchmarks $(TOPIC)

timings: $(READY) $(ASSETS) ## Time the book itself: HTML, each chapter, all checks
	@$(BIN) -m benchmarks.book

# ---- Checking

test: lint unit structure compare html page ## Check everything
	@echo "== Everything passed"

lint: $(READY) ## Style and unused code (ruff)
	@echo "== Style"
	@$(BIN) -m ruff check .

unit: $(READY) ## Tests of the shared code (its shapes and types checked as it runs), the claims and the tools
	@echo "== Unit tests"
	@$(BIN) -m pytest tests --ignore=tests/page --quiet $(WORKERS) --jaxtyping-packages=$(CHECKED),beartype.beartype

structure: $(READY) ## Every chapter is paired, executed, fresh, small and proves what it says; pins are pins, tests can fail
	@echo "== Structure of the chapters"
	@$(BIN) -m derivable.book.check

compare: $(READY) ## Run every notebook again; every stored output must come back the same (nbval)
	@echo "== Outputs of $(words $(NOTEBOOKS)) notebooks, run again"
	@$(if $(NOTEBOOKS),$(BIN) -m pytest --nbval book --nbval-cell-timeout=120 --quiet $(WORKERS))

page: html ## Tests of the built pages in a browser
	@echo "== Pages in a browser"
	@$(if $(wildcard tests/page/test_*.py),$(BIN) -m pytest tests/page --quiet $(WORKERS))

page-report: html ## What a chapter costs its reader: kB before anything is pressed, seconds to a live result
	@$(BIN) -m derivable.book.page_report

mutants: $(READY) ## Make every mistake in every step that changed, and store the scores
	@$(BIN) -m derivable.cli mutants --store

# mutmut and what it needs, by version, behind the book's own packages.
_build/mutmut-3.8.1/.ready: $(VENV)/.installed | $(READY)
	@rm -rf $(@D)
	@$(BIN) -m pip install -qq --no-input --disable-pip-version-check --constraint requirements.txt --target $(@D) mutmut==3.8.1 && touch $@

code-mutants: _build/mutmut-3.8.1/.ready ## Change the shared code, one thing at a time: do the tests notice? (TOPIC=name for one, SAMPLE=0 for all, AGAIN=1 for survivors)
	@PYTHONPATH="$$($(BIN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'):$(CURDIR)/$(<D)" \
	 $(BIN) -m derivable.book.code_mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(AGAIN),--again) $(TOPIC)

seeds: $(READY) ## Run the chapters with 20 other seeds (CHAPTER=name for one, SEEDS=n; 20 minutes for all)
	@$(BIN) -m benchmarks.seeds $(if $(SEEDS),--seeds $(SEEDS)) $(CHAPTER)

faults: $(READY) $(ASSETS) ## Kill the commands of a small book at random, fill the disk, take the network away (15 minutes)
	@$(BIN) -m benchmarks.faults $(if $(PART),"$(PART)")

machines: $(READY) ## Other Pythons and settings (PART=resolve, outputs or suite for one of them; CHAPTER=name for its outputs)
	@$(BIN) -m benchmarks.machines $(if $(CHAPTER),--chapter $(CHAPTER)) $(PART)

safety: html $(TOOLS)/.ready ## Look whether SECURITY.md holds (PART=notebooks, tests or packages for one of them)
	@$(BIN) -m benchmarks.safety $(PART)

# Tools that only these targets need, in an environment of their own.
$(TOOLS)/.ready: Makefile
	@rm -rf $(TOOLS) && python3 -m venv $(TOOLS) && $(TOOLS)/bin/python -m pip install -qq --no-input uv==0.13.9 pip-audit==2.10.1
	@touch $@

lock: $(TOOLS)/.ready ## Write the hashes of all pinned packages to requirements.lock
	@{ echo "# What \`make env\` installs, by content: made from requirements.txt by \`make lock\`, never edited by hand."; \
	   echo "# torch is not in it: which build of the pinned version suits a machine, and so its hash, is the machine's affair."; \
	   grep -v '^torch==' requirements.txt | $(TOOLS)/bin/uv pip compile --quiet --no-deps --universal --python-version 3.11 \
	     --generate-hashes --no-header --no-annotate -; } > requirements.partial && mv requirements.partial requirements.lock

audit: $(TOOLS)/.ready ## Ask for known vulnerabilities of the pinned packages; what could not be asked is an error
	@$(TOOLS)/bin/pip-audit --requirement requirements.txt --no-deps --disable-pip --strict

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) _build node_modules .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
