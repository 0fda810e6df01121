# Every task of the repository. `uv run just` lists them; `.ci/run` runs `ci`.

export HF_HUB_OFFLINE := "1"
export PYTHONUNBUFFERED := "1"

# list the tasks
default:
    @just --list --unsorted

# what CI runs on one machine of two processors: all but the thorough and the exhaustive tests
ci: beside tests

# what leaves a processor free half of the time, at once
[parallel]
beside: checks scale browser fuzz

# what reads the code and the docs without running tests
[parallel]
checks: lint types docs audit image

# ask the advisory database about every pinned package; where it cannot be reached, say so
audit:
    uv run python .ci/audit.py

# build the image of the Dockerfile and validate a recipe in it; where there is no Docker, say so
image:
    if docker info >/dev/null 2>&1; then docker build --tag slm-recipe . && docker run --rm --volume "$PWD":/work:ro slm-recipe validate recipes/quickstart.yaml; else echo "no Docker here: the image was not built"; fi

# write the code as the formatter does, and mend what can be mended
format:
    uv run ruff format .
    uv run ruff check --fix .

# form, lint, layers, the bounds of the code, current reference pages
lint:
    uv run ruff format --check .
    uv run ruff check .
    uv run lint-imports
    uv run python .ci/house.py --check
    uv run python .ci/boundaries.py
    uv run python docs/generate.py --check

# check the types
types:
    uv run mypy

# the default tests, which download nothing and take two and a half minutes, three after an install: just test tests/unit -k gate
test *words:
    uv run pytest {{ words }}

# Default and slow ones go in one session, so that no processor waits for the other at the end of either; the
# quickstart needs every processor.
# the tests of `ci` that need the machine for themselves
tests:
    uv run pytest --cov -m "not thorough and not scale and not exhaustive" --ignore tests/browser --ignore tests/slow/test_quickstart.py
    uv run pytest -n 0 -m slow tests/slow/test_quickstart.py

# The driver leaves an event loop behind, which tests after it cannot have.
# pages in the system's chromium
browser:
    uv run pytest -n 0 -m slow tests/browser

# whole runs, killed, damaged and repeated in many more ways than `tests` does: before a change of what many packages use
thorough *words:
    uv run pytest -m thorough {{ words }}

# `ci` and the thorough tests
whole: ci thorough

# the default and the thorough tests with the share of lines that they run, which has a floor in pyproject.toml
coverage:
    uv run pytest --cov -m "not slow and not exhaustive and not scale"

# the real Axolotl, a real base model, real GGUF files: minutes
slow *words="tests/browser tests/functional tests/slow":
    uv run pytest -m slow {{ words }}

# several real processes of one training, machines of Slurm and Ray: three to six minutes
scale *words="tests/scale":
    uv run pytest -n 0 -m "scale and not thorough" {{ words }}

# 10,000 inputs that nobody meant, for every reader of foreign files: just fuzz --inputs 1000000 --seed 7
fuzz *words:
    PYTHONPATH=tests uv run python benchmarks/fuzz.py {{ words }}

# every hostile thing in the place of every file: an hour, after a change of what reads files of others
exhaustive *words:
    uv run pytest -m exhaustive {{ words }}
    uv run pytest -m sampled --cases all {{ words }}
    uv run pytest --hypothesis-profile exhaustive tests/unit

# print the tables of tampered bundles and reproductions: case, expected, got
tampered:
    PYTHONPATH=tests uv run python -m support.tampering

# run every hostile case, and write the page that shows them
hostile:
    PYTHONPATH=tests uv run python -m support.hostile_table

# build the docs into site/; a link that leads nowhere is an error
docs:
    uv run zensical build --clean --strict

# show the docs while they are written
docs-serve:
    uv run zensical serve

# write the generated pages: docs/reference, docs/index.md, the schema for editors
reference:
    uv run python docs/generate.py

# sizes, circles, names and words of the code, with those of the commit before: just house --list
house *words:
    uv run python .ci/house.py --since HEAD~1 {{ words }}

# pin what uv installs, after a change of the dependencies; --upgrade takes the newest versions that fit
pins *words:
    python3 .ci/pins.py {{ words }}

# show what the next version's section of CHANGELOG.md will be
news:
    uv run towncrier build --draft --version next

# write CHANGELOG.md's section of a version from the fragments in news/, and set the version: just release 0.3.0
release version:
    sed -i 's/^__version__ = ".*"/__version__ = "{{ version }}"/' engine/process/__init__.py
    sed -i -E 's/(slm-recipe@v|rev: v)[0-9.]+[0-9]/\1{{ version }}/' docs/how-to/check-recipes-in-ci.md
    uv run towncrier build --yes --version {{ version }}
