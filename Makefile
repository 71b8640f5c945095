# make report: set up, run the study of config.yaml, write results/report.html
# make test:   set up, run the tests
PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
# what is compiled at installation, by hatch_build.py
KERNELS := hatch_build.py $(wildcard slds_core/chains/native/*.?pp) slds_core/chains/native/build.py

.DEFAULT_GOAL := report

# bytecode halves the start of every job, and some machines switch it off
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

# make study STUDY=examples/studies/NAME.yaml: run another study, in results/studies/NAME
study: .venv/run.stamp
	@test -f "$(STUDY)" || { echo "make study: STUDY='$(STUDY)' is no file; try STUDY=examples/studies/quick.yaml" >&2; exit 1; }
	$(BIN)/snakemake --cores $(CORES) --profile profiles/default --snakefile Snakefile \
		--directory results/studies/$(basename $(notdir $(STUDY))) --configfile $(STUDY)
	@echo "The report: $(CURDIR)/results/studies/$(basename $(notdir $(STUDY)))/results/report.html"

# make benchmark: measure anew what docs/performance.md shows; about half an hour
benchmark: .venv/dev.stamp
	for measured in chains sampling sweeps ragged rounds million solvers compiler pipeline; do $(BIN)/python benchmarks/$$measured.py || exit 1; done

.PHONY: report test study benchmark lint lock clean

report: .venv/run.stamp
	$(BIN)/slds run --cores $(CORES)
	@echo "The report: $(CURDIR)/results/report.html"

# most of a test's time is compilation, so XLA optimises least; a file's tests share compiled programs, so they stay together
# another jaxlib may not know the second flag, and ends: slds_core/study/compiler.py
TEST_FLAGS := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false
test: .venv/dev.stamp
	XLA_FLAGS="$(TEST_FLAGS) $$XLA_FLAGS" $(BIN)/pytest -n 2 --dist loadfile -m "not slow"

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	@# the linter asks for conda or containers; the environment here is pinned by requirements/
	@$(BIN)/snakemake --lint 2>&1 | awk '/^ +\* / && !/Specify a conda environment/ {print; bad=1} /^Lints for/ {ran=1} {all=all $$0 "\n"} END {if (!ran) printf "%s", all; exit bad || !ran}'
	$(BIN)/pyright

.venv/bin/uv: requirements/bootstrap.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

.venv/%.stamp: requirements/%.txt pyproject.toml .venv/bin/uv $(KERNELS)
	@echo "Installing the dependencies pinned in requirements/$*.txt"
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/$*.txt
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

# pin anew what pyproject.toml asks for; hashes, but no addresses
lock: .venv/bin/uv
	echo "uv" | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --fork-strategy fewest --python-version 3.11 - -o requirements/bootstrap.txt
	printf "hatchling\neditables\n" | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --fork-strategy fewest --python-version 3.11 pyproject.toml - -o requirements/run.txt
	printf "hatchling\neditables\n-c requirements/run.txt\n" | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --fork-strategy fewest --python-version 3.11 --extra dev --extra cluster pyproject.toml - -o requirements/dev.txt

clean:
	rm -rf .venv .cache .snakemake .pytest_cache .ruff_cache .hypothesis slds_core/chains/native/kernels.so
	find results -mindepth 1 ! -name README.md -delete
