# `make demo` and `make test` do everything on a machine with Python 3.11, pip and make.
PYTHON ?= python3
BIN := .venv/bin
# tests side by side; the threads of one would be in the way of another
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile
DATA ?= datasets/samples
SCENES := datasets/samples/scenes
DETECTOR ?=

.PHONY: venv demo test check lint bench docs clean

venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: venv
	$(BIN)/graphmatch parse datasets/samples/captions.txt --out demo/graphs
	$(BIN)/graphmatch info demo/graphs
	$(BIN)/graphmatch show 1 2 3 4 5 6 --store demo/graphs --out demo/graphs.html --force
	$(BIN)/graphmatch regions $(SCENES) --detector $(SCENES)/boxes.json --out demo/regions
	$(BIN)/graphmatch show park park_later --store demo/regions --source $(SCENES) \
		--out demo/regions.html --force
	$(BIN)/graphmatch clips datasets/samples/park.mp4 --seconds 1 --fps 2 --out demo/clips
	$(BIN)/graphmatch show park --store demo/clips --source datasets/samples/park.mp4 \
		--out demo/clips.html --force
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -euxc \
		"$$(sed -n '/^```sh/,/^```/{/^```/d;p;}' docs/quickstart.md)"
	@echo "Open demo/*.html and demo/shapes/explained.html with a browser."

test: venv
	$(PYTEST)

check: lint
	$(PYTEST) -m "not slow"

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p graphmatch

bench: venv
	$(BIN)/python benchmarks/parse_rate.py $(DATA)/captions.txt

docs: venv
	$(BIN)/graphmatch show --graph roles --force --out docs/images/caption.svg \
		"A chef in a white hat pours oil into a pan and stirs the vegetables."
	$(BIN)/python tests/documented_pictures.py docs/images $(DETECTOR)
	$(BIN)/python -m pytest README.md docs

clean:
	rm -rf .venv demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
