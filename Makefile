# Everything runs in the project's own virtual environment, which is created with PYTHON.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUN ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)

CASES ?= 10000
SEED ?= $(shell $(PYTHON) -c 'import random; print(random.randrange(2**31))')

PORT ?= 8000
LIVE := ptbxl smnist psmnist cifar-density listops-quick listops-demo
EXAMPLE_ptbxl := --example examples/ecg.csv
EXAMPLE_smnist := --example examples/digit.png
EXAMPLE_psmnist := --example examples/digit.png
EXAMPLE_cifar-density := --example examples/picture.png

.PHONY: demo test test-quick test-random test-web fuzz dist check bench live docs docs-links clean

demo: $(INSTALLED)  ## train on short ListOps expressions, evaluate, print where the pictures are
	$(BIN)/multiresconv train listops --recipe demo --run $(RUN)
	$(BIN)/multiresconv evaluate $(RUN)
	@echo "Pictures: $(RUN)/curves.png  $(RUN)/confusion.png  $(RUN)/confusion-test.png"

test: $(INSTALLED)  ## the whole test suite
	$(BIN)/pytest -n auto --dist worksteal --ignore tests/web

test-web: $(INSTALLED)  ## the pages of models in Chromium; needs chromium, and npm or a cached onnxruntime-web
	$(BIN)/pytest -n auto --dist loadfile tests/web

test-quick: $(INSTALLED)  ## what neither trains nor starts processes
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

# pytest-randomly only shuffles here: tests/conftest.py seeds each test by its name, which a reseeding would undo.
test-random: SEED := $(SEED)
test-random: $(INSTALLED)  ## other orders, seeds and examples than in `make test`; SEED=... repeats a run
	@echo "make test-random SEED=$(SEED)"
	TEST_SEED=$(SEED) PYTHONHASHSEED=$(SEED) $(BIN)/pytest -n auto --dist worksteal --ignore tests/web \
		-p randomly --randomly-seed=$(SEED) --randomly-dont-reset-seed \
		--hypothesis-profile random --hypothesis-seed=$(SEED)

fuzz: SEED := $(SEED)
fuzz: $(INSTALLED)  ## 10,000 damaged files, CASES=..., against the command line; SEED=... repeats a run
	@echo "make fuzz SEED=$(SEED) CASES=$(CASES)"
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz --cases $(CASES) --seed $(SEED)

dist: $(INSTALLED)  ## sdist and wheel in dist/, checked in fresh environments; PYTHONS="python3.11 ..." chooses
	rm -rf dist
	$(BIN)/python release/build.py --out dist
	$(BIN)/python release/check.py dist/*.whl --complete $(BIN)/python $(if $(PYTHONS),--pythons $(PYTHONS))

check: $(INSTALLED)  ## style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## run the CPU benchmarks on this machine
	$(BIN)/python benchmarks/bench_step.py --repeats 7
	$(BIN)/multiresconv bench --repeats 5 --limit 10
	$(BIN)/python benchmarks/bench_conv.py
	$(BIN)/python benchmarks/bench_length.py --repeats 9
	$(BIN)/python benchmarks/bench_scale.py
	$(BIN)/python benchmarks/bench_stream.py
	$(BIN)/python benchmarks/bench_sample.py

live: $(LIVE:%=build/live/%/index.html)  ## pages of the trained models in results/, served on 127.0.0.1; PORT=...
	cp results/live.html build/live/index.html
	@echo "http://127.0.0.1:$(PORT)/"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/live $(PORT)

SPHINX := $(BIN)/sphinx-build -c docs -W --keep-going -j auto

docs: $(INSTALLED)  ## the documentation site in build/docs; every warning is an error; needs no network
	rm -rf build/docs build/gallery
	$(SPHINX) -q -b html . build/docs
	@echo "build/docs/index.html"

docs-links: $(INSTALLED)  ## asks every external link of the site; needs the internet
	$(SPHINX) -b linkcheck . build/docs-links

build/live/%/index.html: results/%/model/model.safetensors $(INSTALLED) $(wildcard src/multiresconv/export/web/* src/multiresconv/export/*.py)
	@mkdir -p build/live
	$(BIN)/multiresconv export results/$* build/live/$* --to web $(EXAMPLE_$*)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("multiresconv needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; choose another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
