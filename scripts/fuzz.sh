#!/usr/bin/env bash
# Sets up .venv and gives the library damaged and hostile inputs for a night: CASES (10000) cases on
# all cores, then MINUTES (3) of each target of a fuzzer that follows branches, where that is installed.
# Inputs that failed are kept in the folder KEEP (out/fuzz).
#
#   bash scripts/fuzz.sh [--keep KEEP] [--minutes MINUTES] [CASES]
#
# The last lines are the table of all cases; the exit status is 1 if anything failed.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh

keep=out/fuzz minutes=3 cases=10000
while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set /s/^# \{0,1\}//p' scripts/fuzz.sh && exit ;;
    --keep | --minutes)
      if [ -z "${2:-}" ]; then
        echo "error: $1: a value is required (see --help)" >&2
        exit 2
      fi
      declare "${1#--}=$2" && shift 2
      ;;
    *) cases=$1 && shift ;;
  esac
done
if ! [[ $cases/$minutes =~ ^[0-9]+/[0-9]+$ ]]; then
  echo "error: expected CASES and MINUTES as numbers, got '$cases' and '$minutes' (see --help)" >&2
  exit 2
fi
set_up demo,dev,heic,importers,train,export,video,serve,bulk

export TF_CPP_MIN_LOG_LEVEL=3
mkdir -p "$keep"
failed=0
# Each night has other cases; a failure is told with its seed.
"$PYTHON" -m tests.fuzz --cases "$cases" --seed $(($(date +%s) / 86400 * 1000000)) \
  --processes "$(nproc)" --keep "$keep" > "$keep/cases.txt" || failed=1

if [ "$minutes" -gt 0 ] && "$PYTHON" -c 'import atheris' 2> /dev/null; then
  for target in $("$PYTHON" -m tests.fuzz.guided --list); do
    mkdir -p "$keep/guided/$target"
    if ! "$PYTHON" -m tests.fuzz.guided "$target" -max_total_time=$((60 * minutes)) \
      -artifact_prefix="$keep/guided/$target/" &> "$keep/guided/$target.log"; then
      failed=1
      echo "guided $target: failed, see $keep/guided/$target.log" >> "$keep/cases.txt"
    fi
  done
fi
cat "$keep/cases.txt"
exit "$failed"
