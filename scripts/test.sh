#!/usr/bin/env bash
# Sets up .venv and runs lint, type checker and tests but for the slow ones; arguments go to pytest:
# `-m ""` runs all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
set_up demo,dev,heic,importers,train,export,video,serve,bulk

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
"$PYTHON" -m pytest --numprocesses "${TEST_PROCESSES:-auto}" --dist loadfile --no-loadscope-reorder \
  -m "not slow" "$@"
