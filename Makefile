# Two commands are enough: `make demo` shows the main job, `make test` proves it. Each makes .venv if it is missing.
# After the set-up everything works with the network off. Another interpreter: make PYTHON=python3.13 test
PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python

export OMP_WAIT_POLICY = PASSIVE
export MPLCONFIGDIR = $(CURDIR)/$(VENV)/matplotlib

.PHONY: help setup demo test check format figures readme clean

help:
	@echo "make demo     the main job on the sample that comes with resight; names two HTML reports"
	@echo "make test     all tests (make test ARGS='-k rerank' for some)"
	@echo "make check    format, lint, types, import contract"
	@echo "make format   mend format and what lint can mend"
	@echo "make figures  draw the README's picture again"
	@echo "make readme   write the tables of README and docs again from benchmarks/results/*.json"
	@echo "make clean    remove .venv and everything that was made"

demo: $(VENV)/.ready
	@mkdir -p out/demo
	@PYTHONDONTWRITEBYTECODE=1 RESIGHT_CACHE=$(CURDIR)/out/demo/cache $(RUN) -m resight report sample --out out/demo/report.html
	@PYTHONDONTWRITEBYTECODE=1 RESIGHT_CACHE=$(CURDIR)/out/demo/cache $(RUN) -m resight diagnose sample --out out/demo/diagnosis
	@echo "Open $(CURDIR)/out/demo/report.html (how well) and"
	@echo "     $(CURDIR)/out/demo/diagnosis/report.html (why not better) in a browser."

test: $(VENV)/.ready
	$(RUN) -m pytest $(ARGS)

check: $(VENV)/.ready
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy src
	$(RUN) -c "from importlinter.cli import lint_imports_command as check; check()" --no-logo

format: $(VENV)/.ready
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

figures: $(VENV)/.ready
	$(RUN) scripts/figures.py

readme: $(VENV)/.ready
	$(RUN) scripts/readme_tables.py

clean:
	rm -rf $(VENV) out build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

setup: $(VENV)/.ready

# uv installs faster where it is there; it does not read pip's places by itself, so they are handed on.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))" || \
		{ echo "resight needs Python 3.11-3.14; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@if command -v uv >/dev/null 2>&1 && \
		UV_FIND_LINKS="$${UV_FIND_LINKS:-$$(echo "$$PIP_FIND_LINKS" | tr ' ' ',')}" \
		uv pip install --quiet --compile-bytecode --python $(RUN) --constraints constraints.txt -e ".[dev]"; then :; \
	else \
		$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt -e ".[dev]"; \
	fi
	@touch $@
