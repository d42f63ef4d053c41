# Everything a developer runs. Each target makes what it needs, once, below build/; `make` lists them.

ifeq ($(filter oneshell,$(.FEATURES)),)
$(error GNU make 3.82 or newer is needed)
endif
.ONESHELL:
.NOTPARALLEL:
SHELL := $(or $(wildcard /bin/bash),bash)
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-core test-qgis test-matrix bench lint format package clean

# The Python that QGIS is built for; it must import qgis.core.
QGIS_PYTHON ?= /usr/bin/python3
# Given to pytest, for example ARGS="-k grid -x".
ARGS ?=
CORE_TESTS ?= tests/core tests/test_*.py
QGIS_TESTS ?= tests/processing tests/plugin
DEMO := build/demo

export PATH := $(if $(PATH),$(PATH):)/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ifeq ($(HOME),)
export HOME := $(shell getent passwd "$$(id -u)" | cut -d: -f6)
endif
# Qt 5 writes file names in the locale's letters: without UTF-8 a checkout in /home/Zoë is not found.
ifeq ($(shell printf '%s' "$${LC_ALL:-$${LC_CTYPE:-$${LANG:-}}}" | grep -ic 'utf-\?8'),0)
export LC_ALL := C.UTF-8
endif
export PYTHONDONTWRITEBYTECODE := 1
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/build/hypothesis
export RUFF_CACHE_DIR := $(CURDIR)/build/ruff
# An activated environment or a QGIS started from source must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV QGIS_PREFIX_PATH QGIS_PLUGINPATH

# What the shell of every recipe below may call.
define setup
say() { printf '%s\n' "$$*" >&2; }
die() { say "$$*"; exit 1; }
qgis_python() { "$(QGIS_PYTHON)" "$$@"; }
# Whether one capability is there; looked at anew at every run, which takes some milliseconds.
has() {
  case $$1 in
    python) qgis_python -c 'import ensurepip, venv' ;;
    qgis) qgis_python -c 'import sys, importlib.util as u; sys.exit(not u.find_spec("qgis.core"))' \
      && { command -v qgis_process.bin || command -v qgis_process; } ;;
    gdal) command -v gdalwarp ;;
    xvfb) command -v Xvfb ;;
    git) command -v git ;;
    processes) command -v ps ;;
  esac >/dev/null 2>&1
}
packages() {
  case $$1 in
    python) echo python3 python3-venv ;;
    qgis) echo qgis python3-qgis qgis-providers ;;
    gdal) echo gdal-bin ;;
    processes) echo procps ;;
    *) echo "$$1" ;;
  esac
}
# need python qgis ...: installs what is missing with apt where that is allowed, else says what to install.
need() {
  local what wanted=() may=()
  for what in "$$@"; do has "$$what" || wanted+=($$(packages "$$what")); done
  [ $${#wanted[@]} -gt 0 ] || return 0
  if [ "$$(id -u)" != 0 ]; then may=(sudo -n); fi
  if ! command -v apt-get >/dev/null || ! "$${may[@]}" true 2>/dev/null; then
    die "Please install first: $${wanted[*]} (names of Debian and Ubuntu)."
  fi
  say "Installing from the system's packages: $${wanted[*]} ..."
  local apt=("$${may[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600)
  mkdir -p build
  { "$${apt[@]}" update && "$${apt[@]}" install -y --no-install-recommends "$${wanted[@]}"; } \
    >build/apt.log 2>&1 </dev/null || { tail -n 20 build/apt.log >&2; die "apt could not install: $${wanted[*]}."; }
  for what in "$$@"; do
    has "$$what" || die "$(QGIS_PYTHON) still lacks \"$$what\"; set QGIS_PYTHON to the Python of your QGIS."
  done
}
# core_python: makes the core's environment with the product's own code and prints its interpreter.
core_python() {
  mkdir -p build
  qgis_python -B core/environment/__main__.py --base build/environments \
    --extra tests/requirements-core.txt 2> >(grep -vE '^ *(0|100) %' >&2) | tail -n 1
}
# qgis_tests_python: the environment of the tests inside QGIS, made anew when QGIS or the list changes.
qgis_tests_python() {
  local folder=build/qgis-tests version list key
  version=$$(qgis_python -c 'from qgis.core import Qgis; print(Qgis.QGIS_VERSION_INT)')
  list=tests/requirements-qgis.txt
  if [ "$$version" -lt 33400 ]; then list=tests/requirements-qgis-old.txt; fi
  key="$$version $$(qgis_python -V) $$(sha256sum <"$$list") $$PWD"
  if [ "$$(cat $$folder/complete 2>/dev/null)" != "$$key" ]; then
    say "Making the environment of the tests inside QGIS ..."
    rm -rf $$folder
    qgis_python -m venv --system-site-packages $$folder
    $$folder/bin/python -m pip install -q --require-hashes --no-deps -r "$$list" >&2
    printf '%s\n' "$$key" >$$folder/complete
  fi
  printf '%s\n' "$$PWD/$$folder/bin/python"
}
# bench_python CORE: the environment of those whom tests/bench compares with, of the same Python as the core's.
bench_python() {
  local folder=build/bench key
  key="$$("$$1" -V) $$(sha256sum <tests/requirements-bench.txt) $$PWD"
  if [ "$$(cat $$folder/complete 2>/dev/null)" != "$$key" ]; then
    say "Making the environment of the benchmarks ..."
    rm -rf $$folder
    "$$1" -m venv $$folder
    $$folder/bin/python -m pip install -q --require-hashes --no-deps -r tests/requirements-bench.txt >&2
    printf '%s\n' "$$key" >$$folder/complete
  fi
  printf '%s\n' "$$PWD/$$folder/bin/python"
}
# The folders of tests that exist; a new one may have no file yet, which git does not keep.
existing() {
  local name found=()
  for name in "$$@"; do if [ -e "$$name" ]; then found+=("$$name"); else say "There is no $$name yet."; fi; done
  [ $${#found[@]} -gt 0 ] || die "There is nothing to test."
  tests=("$${found[@]}")
}
# One verdict over several runs of pytest. Its exit code 5 (no test was run) is a failure, unless ARGS chose
# the tests: then one of the runs may be empty, not all.
failed=0 ran=0
verdict() {
  case $$2 in
    0) ran=1 ;;
    5) [ -n '$(subst ','\'',$(ARGS))' ] || { say "No test was found: $$1."; failed=1; } ;;
    *) failed=1 ;;
  esac
}
conclude() {
  [ $$failed = 1 ] || [ $$ran = 1 ] || { say "No test was run."; failed=1; }
  exit $$failed
}
run_core_tests() {
  local python code=0
  need python gdal git processes
  existing $(CORE_TESTS)
  python=$$(core_python)
  say "Tests of the core: $$python"
  # The tools of the tests (uv, rustac) stand beside its Python; last, so that they replace nothing of the machine's.
  PATH="$$PATH:$$(dirname "$$python")" \
    "$$python" -P -m pytest -o cache_dir=build/pytest-core "$${tests[@]}" $(ARGS) </dev/null || code=$$?
  verdict "$(CORE_TESTS)" $$code
}
run_qgis_tests() {
  local core python code=0
  need python qgis xvfb git processes
  existing $(QGIS_TESTS)
  core=$$(core_python)
  python=$$(qgis_tests_python)
  rm -rf build/qgis-profile
  mkdir -p build/qgis-profile
  say "Tests inside QGIS $$(qgis_python -c 'from qgis.core import Qgis; print(Qgis.QGIS_VERSION)'): $$python"
  QT_QPA_PLATFORM=offscreen MINICUBER_PYTHON="$$core" QGIS_CUSTOM_CONFIG_PATH="$$PWD/build/qgis-profile" \
    "$$python" -P -m pytest -o cache_dir=build/pytest-qgis "$${tests[@]}" $(ARGS) </dev/null || code=$$?
  verdict "$(QGIS_TESTS)" $$code
}
endef

help: ## list the targets (this)
	@echo "make TARGET, where TARGET is one of:"
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16
	echo 'ARGS="..." is passed to pytest. What is made lies in build/.'

demo: ## build a cube from synthetic data in real QGIS and show it on the desktop
	@$(setup)
	screen=xvfb
	if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ]; then screen=; fi
	need python qgis $$screen
	exec "$(QGIS_PYTHON)" -B tests/demo/demo.py $(DEMO)

test: ## run all tests: those of the core, and beside them those inside QGIS
	@$(setup)
	need python qgis gdal xvfb git processes
	# Both want them: made before, so that neither waits for the other.
	core_python >/dev/null
	qgis_tests_python >/dev/null
	log=build/test-qgis.log
	( run_qgis_tests; [ $$failed = 0 ] || exit 1; [ $$ran = 1 ] || exit 3 ) >$$log 2>&1 &
	qgis=$$!
	say "The tests inside QGIS run at the same time, into $$log, which is shown at the end."
	run_core_tests
	code=0
	wait $$qgis || code=$$?
	case $$code in 0) ran=1 ;; 3) ;; *) failed=1 ;; esac  # 3: ARGS chose none of them
	cat $$log
	conclude

test-core: ## run the tests of the core (CORE_TESTS=tests/core/test_grid.py: some of them)
	@$(setup)
	run_core_tests
	conclude

test-qgis: ## run the tests inside QGIS (QGIS_TESTS=tests/plugin: some of them)
	@$(setup)
	run_qgis_tests
	conclude

test-matrix: ## run the tests inside QGIS also on Debian 13 (a chroot; needs root), and the check for Qt 6
	@$(setup)
	need python git
	code=0
	"$(QGIS_PYTHON)" -B tests/matrix/qt6.py build/qt6 || code=$$?
	bash tests/matrix/run || code=$$?
	exit $$code

bench: ## measure speed and memory, beside other programs of this kind; no verdict (ARGS="--only ours floor")
	@$(setup)
	need python
	core=$$(core_python)
	peers=$$(bench_python "$$core")
	"$$core" -B tests/bench/load.py --peers "$$peers" $(ARGS)
	"$$core" -B tests/bench/memory.py
	"$$core" -B tests/bench/climate.py
	"$$core" -B tests/bench/dataset.py
	"$$core" -B tests/bench/attach.py --qgis-python "$(QGIS_PYTHON)"
	"$$core" -B tests/bench/cleaning.py

lint: ## check the style
	@$(setup)
	need python
	core=$$(core_python)
	code=0
	"$$core" -P -m ruff check . || code=1
	"$$core" -P -m ruff format --check . || code=1
	exit $$code

format: ## put the code into the project's style
	@$(setup)
	need python
	core=$$(core_python)
	"$$core" -P -m ruff check --fix . || true
	"$$core" -P -m ruff format .

package: ## build/minicuber-VERSION.zip, for the plugin repository, from the last commit
	@$(setup)
	need git
	version=$$(sed -n 's/^version=//p' metadata.txt)
	mkdir -p build
	if [ -n "$$(git status --porcelain)" ]; then say "Warning: uncommitted changes are not in the package."; fi
	git archive --format=zip --prefix=minicuber/ -o "build/minicuber-$$version.zip" HEAD
	echo "build/minicuber-$$version.zip"

clean: ## remove build/ and what Python left behind
	@$(setup)
	if grep -qF " $$(pwd -P)/build/" /proc/self/mountinfo 2>/dev/null; then
	  die "Something is mounted below build/: unmount it first."
	fi
	rm -rf build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
