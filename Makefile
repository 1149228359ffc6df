# Each target sets up .venv by itself; PYTHON names the interpreter it is made with, TEXT the text
# that make bench, arrangements and reach learn. make emulate serves other processors by the names of
# a compiler (CROSS), an emulator (EMULATOR; none where this processor runs what the compiler makes)
# and options of the compiler (FLAGS).

PYTHON ?= python3
TORCH ?= torch==2.13.0
CROSS ?= aarch64-linux-gnu-g++
EMULATOR ?= qemu-aarch64 -L /usr/aarch64-linux-gnu
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
SOURCES := pyproject.toml $(wildcard charrnn/kernels/native/*)
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools

.PHONY: help demo test check fix bench busy waits base quality experts arrangements formal growth reach anomalies picture robustness emulate map audit clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:
	@echo "make demo          train on the bundled tales for about a minute and print samples"
	@echo "make test          run every test"
	@echo "make check         lint, format and types"
	@echo "make fix           mend what lint and format can mend"
	@echo "make bench         measure losses and speeds"
	@echo "make busy          measure training on a machine that has other work"
	@echo "make waits         how long every command lets a person wait"
	@echo "make base          train a base model on the books of BOOKS, a tar archive; takes hours"
	@echo "make quality       losses after some minutes of TEXT, from nothing and from what is chosen"
	@echo "make experts       what counts of short strings add to a network"
	@echo "make arrangements  every cell and arrangement at the same size"
	@echo "make formal        every cell on the formal languages"
	@echo "make growth        how cost grows with the network and the text"
	@echo "make reach         how far gradients reach back"
	@echo "make anomalies     how well planted lines are found by what they cost"
	@echo "make robustness    try every promise many thousand times; prints one table"
	@echo "make emulate       compare the native library's results for ARM (NEON) in an emulator"
	@echo "make map           draw the folders, their files and the order of imports"
	@echo "make audit         look the dependencies up among known vulnerabilities (needs the network)"
	@echo "make picture       draw the picture of the README anew"
	@echo "make clean         remove what these commands made"

# What charrnn takes on this machine, or also what its tests and checks take ([dev], and the native
# library for every processor). torch comes first and by itself: its version is pinned here, while the
# project declares a range. Python compiles what it imports; pip would compile the thousands of files,
# torch's above all, that nothing here does.
FOR_DEMO := --config-settings=cmake.define.CHARRNN_FOR_THIS_PROCESSOR=ON
define SET_UP
$(PYTHON) -m venv $(VENV)
$(INSTALL) "$(TORCH)"
$(INSTALL) $(2) --editable ".$(1)"
endef

$(READY): $(SOURCES)
	$(call SET_UP,,$(FOR_DEMO))
	touch $@

$(TOOLS): $(SOURCES)
	$(call SET_UP,[dev])
	touch $(READY) $@

demo: $(READY)
	$(BIN)/charrnn train tales --minutes 0.8 --run runs/demo --overwrite
	@echo
	$(BIN)/charrnn sample runs/demo --temp 0.6 --length 600 --prime "Once, when the river was low,"
	@echo
	$(BIN)/charrnn eval runs/demo

test: $(TOOLS)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(TOOLS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(TOOLS)
	$(BIN)/python -m tests.benchmarks $(TEXT)

busy: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.busy

waits: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.waits

base: $(READY)
	$(BIN)/python -m tests.base_model $(BOOKS)

quality: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.quality $(or $(TEXT),tinyshakespeare) $(BOOKS)

experts: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.experts

arrangements: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.arrangements $(TEXT)

formal: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.formal

growth: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.growth

reach: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.reach $(TEXT)

anomalies: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.anomalies

robustness: $(TOOLS)
	$(BIN)/python -m tests.robustness

emulate: $(READY)
	$(BIN)/python -m tests.emulated --compiler="$(CROSS)" --emulator="$(EMULATOR)" --flags="$(FLAGS)"

map:
	@$(PYTHON) -m tests.support.map

# The tool has an environment of its own, so that only what charrnn installs is looked up. A build
# of torch (+cpu) is looked up as the release it is of; what is not found counts as a failure.
AUDIT := $(VENV)/audit
audit: $(TOOLS)
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > $(AUDIT)/installed.txt
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --requirement $(AUDIT)/installed.txt

picture: $(TOOLS)
	$(BIN)/python -m tests.benchmarks.picture .assets/session.svg

clean:
	rm -rf $(VENV) runs/demo charrnn/kernels/*.so
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
