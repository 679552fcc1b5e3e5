# Sourced by demo.sh, test.sh and fuzz.sh: makes .venv and installs this project there, once per
# change of pyproject.toml or the constraints. `set_up EXTRAS` leaves the interpreter in $PYTHON.
# PYTHON3 names another base interpreter; MATTINGJAX_VENV another folder.

set_up() {
  local extras=$1 venv=${MATTINGJAX_VENV:-.venv} base=${PYTHON3:-python3} stamp
  if ! "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "error: $base: Python 3.11 or later is needed (PYTHON3 names another one)" >&2
    exit 2
  fi
  PYTHON=$venv/bin/python
  stamp=$venv/.installed-$(cat pyproject.toml scripts/constraints.txt <(echo "$PWD $extras") |
    "$base" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
  [ -e "$stamp" ] && return
  echo "Setting up $venv for $extras (a few minutes the first time) ..." >&2
  [ -x "$PYTHON" ] || "$base" -m venv "$venv"
  "$PYTHON" -m pip install -qq --disable-pip-version-check \
    --constraint scripts/constraints.txt --editable ".[$extras]"
  touch "$stamp"
}
