# Everything a fresh checkout needs: Python >= 3.10 with venv, make and a C compiler.

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
START := $(shell date +%s)
SECONDS_SO_FAR = $$(($$(date +%s) - $(START))) s

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Each process takes tests that stand together, which share fixtures, and from the others when it has none left.
TESTS_SIDE_BY_SIDE := -n $(JOBS) --dist worksteal
MAKE_CORE = $(MAKE) --no-print-directory -j$(JOBS) -C csrc PYTHON=$(BIN)/python

# Pictures without a screen.
export MPLBACKEND := Agg

.DEFAULT_GOAL := help
.PHONY: help demo test test-c test-clang test-python lint format sanitize sanitize-c sanitize-python sanitize-threads sanitize-memory valgrind \
	coverage macos wheel wheel-check test-pythons test-oldest fuzz bench build clean docs notebooks notebooks-check lock release-check

help:
	@echo "make demo         environment, build, installation, the embedded default study; says where its report is"
	@echo "make test         the C tests and the Python tests, with everything they need"
	@echo "make test-clang   the C tests, built by clang"
	@echo "make lint         ruff, mypy, import-linter, clang-format, and the compiler with warnings as errors"
	@echo "make format       let ruff and clang-format write"
	@echo "make sanitize     C and Python tests under AddressSanitizer and UndefinedBehaviorSanitizer, C tests under"
	@echo "                  ThreadSanitizer and MemorySanitizer"
	@echo "make sanitize-threads, make sanitize-memory  the last of these alone; they need clang"
	@echo "make valgrind     C tests under valgrind"
	@echo "make coverage     lines of the core that its C tests run"
	@echo "make macos        compile and link the core for macOS on ARM, with a compiler from the package index"
	@echo "make wheel-check  build a wheel, install it into an empty environment, use it from another folder"
	@echo "make test-pythons the quick tests on the oldest and the newest Python that are here"
	@echo "make test-oldest  the quick tests with all requirements as old as pyproject.toml promises"
	@echo "make fuzz         all fuzzers, about an hour (FUZZ_SECONDS=3000 each); ADMIN_PY_FUZZ_SEED=N repeats from a number"
	@echo "make bench        training steps beside PyTorch, all workloads; takes minutes"
	@echo "make docs         the documentation, in docs/_build/html; warnings are errors"
	@echo "make notebooks    execute the notebooks whose cells changed, and keep their outputs"
	@echo "make lock         what CI installs, at its newest versions, with hashes"
	@echo "make release-check  the source archive and the wheels, made and tried on the Pythons that are here"
	@echo "make clean        remove what was built (not $(VENV))"
	@echo "PYTHON=$(PYTHON) makes the environment $(VENV); PYTEST_ARGS are handed to pytest"

# ---- environment and installation ----

# What each stamp stands for was installed after the files it depends on changed.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/.build-requirements: pyproject.toml tools/requirements.py | $(BIN)/python
	$(BIN)/python tools/requirements.py build > $@.txt
	$(PIP) install --quiet --requirement $@.txt
	@touch $@

$(BIN)/.installed: pyproject.toml setup.py admin_py/_version.py $(BIN)/.build-requirements
	$(PIP) install --quiet --no-build-isolation --editable .
	@touch $@

# Extras of pyproject.toml, installed by name: test, lint, bench, notebook, translation, cluster, trackers, docs.
$(BIN)/.extra-%: pyproject.toml tools/requirements.py | $(BIN)/python
	$(BIN)/python tools/requirements.py $* > $@.txt
	$(PIP) install --quiet --requirement $@.txt
	@touch $@

# Recompiles what changed.
build: $(BIN)/.installed
	@$(BIN)/python setup.py --quiet build_ext --inplace

# ---- what a user types ----

demo: build
	@echo "installed after $(SECONDS_SO_FAR)"
	$(BIN)/admin-py study --out demo
	@echo "make demo took $(SECONDS_SO_FAR); the report is $(abspath demo)/report.html"

test: test-c test-python
	@echo "make test took $(SECONDS_SO_FAR)"

test-c: $(BIN)/.build-requirements $(BIN)/.extra-openblas
	$(MAKE_CORE) test

# All tables of kernels by another compiler.
test-clang: $(BIN)/.build-requirements $(BIN)/.extra-openblas
	$(MAKE_CORE) test CC=clang BUILD=build/clang

test-python: build $(BIN)/.extra-openblas $(BIN)/.extra-test $(BIN)/.extra-translation $(BIN)/.extra-cluster $(BIN)/.extra-trackers
	$(BIN)/python -m pytest $(TESTS_SIDE_BY_SIDE) $(PYTEST_ARGS)

# ---- what a developer types ----

# Of docs the Python files only: ruff would format the examples in its pages, too.
LINTED := admin_py tests benchmarks tools setup.py .ci $(wildcard docs/*.py) docs/_ext docs/examples
# Where the core is compiled with warnings as errors; what was already is not again.
WERROR_BUILD ?= build/werror
lint: build $(BIN)/.extra-lint $(BIN)/.extra-test
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MAKE_CORE) format-check FORMATTER=$(BIN)/clang-format
	$(MAKE_CORE) all BUILD=$(WERROR_BUILD) WERROR=1
	ADMIN_PY_WERROR=1 $(BIN)/python setup.py --quiet build_ext --build-lib build/werror

format: $(BIN)/.extra-lint
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)
	$(MAKE_CORE) format FORMATTER=$(BIN)/clang-format

sanitize: sanitize-c sanitize-python sanitize-threads sanitize-memory

sanitize-c: $(BIN)/.build-requirements $(BIN)/.extra-openblas
	$(MAKE_CORE) sanitize

sanitize-threads: $(BIN)/.build-requirements $(BIN)/.extra-openblas
	$(MAKE_CORE) sanitize-threads

# The extension modules built for the sanitizers, used by the tests that work them hardest. Python itself and NumPy
# are not built so, hence the preloading; what they hold until the end is no leak of ours, hence detect_leaks=0. Leaks
# are the business of the C tests, and of the tests that nothing grows, which make no sense here: the sanitizer keeps
# freed memory for a while on purpose. Nor do those of small stacks: it makes frames larger.
SANITIZED := build/sanitized
NOT_SANITIZED := $(patsubst %,tests/core/test_%.py,forks layout stacks)
SANITIZED_TESTS ?= $(filter-out $(NOT_SANITIZED),$(wildcard tests/core/test_*.py)) \
	tests/proofs/test_random_configurations.py
SANITIZER_LIBRARIES = $$($(CC) -print-file-name=libasan.so):$$($(CC) -print-file-name=libubsan.so)
sanitize-python: build $(BIN)/.extra-test $(BIN)/.extra-openblas
	rm -rf $(SANITIZED)
	ADMIN_PY_WERROR= ADMIN_PY_SANITIZE=address,undefined $(BIN)/python setup.py --quiet build --build-lib $(SANITIZED)
	LD_PRELOAD=$(SANITIZER_LIBRARIES) ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  PYTHONMALLOC=malloc PYTHONPATH=$(abspath $(SANITIZED)) \
	  $(BIN)/pytest -q $(TESTS_SIDE_BY_SIDE) -p no:cacheprovider -k "not nothing_grows" $(SANITIZED_TESTS)

sanitize-memory: $(BIN)/.build-requirements
	$(MAKE_CORE) sanitize-memory

valgrind: $(BIN)/.build-requirements $(BIN)/.extra-openblas
	$(MAKE_CORE) valgrind

coverage: $(BIN)/.build-requirements $(BIN)/.extra-openblas
	$(MAKE_CORE) coverage

# The core for a machine that need not be here: objects and a shared library of each precision for macOS on ARM, by zig's
# clang.
MACOS := build/macos
ZIG = $(abspath $(MACOS))/venv/bin/python -m ziglang cc -target aarch64-macos
macos: $(BIN)/.build-requirements
	rm -rf $(MACOS)
	$(PYTHON) -m venv $(MACOS)/venv
	$(MACOS)/venv/bin/python -m pip --disable-pip-version-check install --quiet ziglang
	$(MAKE_CORE) linked BUILD=$(abspath $(MACOS)) CC="$(ZIG)" OPENBLAS= WERROR=1

# With the build requirements of the environment, which in CI are those of .ci/requirements.txt.
wheel: $(BIN)/.build-requirements
	rm -rf dist build/lib* build/bdist* # what was built of sources that are gone would come along
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# .ci/requirements.txt anew: exact versions and hashes of all that CI installs.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip --disable-pip-version-check install --quiet uv
	build/lock/bin/python tools/lock.py

# The new environment has the wheel and what it requires at run time, no more, and no build tool.
wheel-check: wheel
	rm -rf build/wheel-check
	$(PYTHON) -m venv build/wheel-check/venv
	build/wheel-check/venv/bin/python -m pip --disable-pip-version-check install --quiet --no-compile dist/*.whl
	mkdir build/wheel-check/elsewhere
	cd build/wheel-check/elsewhere && env -u PYTHONPATH ../venv/bin/python $(abspath tools/check_installed.py)

# What is published, of the commit; CONTRIBUTING.md has the list of what else is to be done.
release-check:
	$(PYTHON) tools/release.py check

# The wheel on other Pythons, and with other versions of what it requires, in build/elsewhere.
test-pythons:
	JOBS=$(JOBS) $(PYTHON) tools/elsewhere.py pythons

test-oldest:
	JOBS=$(JOBS) $(PYTHON) tools/elsewhere.py oldest

# Every fuzzer with a budget of its own; what a failure prints repeats it.
FUZZ_SECONDS ?= 3000
fuzz: build $(BIN)/.extra-test $(BIN)/.extra-translation
	ADMIN_PY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest -n $(JOBS) -m fuzz $(PYTEST_ARGS) tests

# All notebooks in kernels of an environment that has the wheel, from a folder that holds nothing else.
notebooks-check: wheel-check
	build/wheel-check/venv/bin/python tools/requirements.py notebook > build/wheel-check/notebook.txt
	build/wheel-check/venv/bin/python tools/requirements.py translation >> build/wheel-check/notebook.txt
	build/wheel-check/venv/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
	  --requirement build/wheel-check/notebook.txt
	cp -r notebooks build/wheel-check/notebooks
	cd build/wheel-check/notebooks && env -u MPLBACKEND -u PYTHONPATH ../venv/bin/python -m pytest -q \
	  --rootdir . --nbmake --nbmake-timeout=300 --durations=0 -n $(JOBS) .

notebooks: build $(BIN)/.extra-notebook $(BIN)/.extra-translation
	$(BIN)/python tools/execute_notebooks.py

docs: build $(BIN)/.extra-docs $(BIN)/.extra-translation
	rm -rf docs/_build docs/api/generated
	$(BIN)/python -m sphinx -q -W --keep-going -n -b html docs docs/_build/html
	@echo "the documentation is $(abspath docs/_build/html)/index.html"

bench: build $(BIN)/.extra-bench
	$(BIN)/python -m benchmarks.training_step

clean:
	$(MAKE_CORE) clean
	rm -rf build dist docs/_build docs/api/generated *.egg-info admin_py/*.so demo study
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
