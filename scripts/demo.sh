#!/usr/bin/env bash
# Sets up .venv and mattes a portrait (an astronaut, public domain); results in out/demo.
#   bash scripts/demo.sh WEIGHTS      or     MATTINGJAX_WEIGHTS=WEIGHTS bash scripts/demo.sh
# WEIGHTS: a checkpoint directory, or a file that scripts/import_weights.py reads.
set -euo pipefail
weights=${1:-${MATTINGJAX_WEIGHTS:-}}
[ -z "$weights" ] || weights=$(realpath -m -- "$weights")
cd "$(dirname "$0")/.."

if [ -z "$weights" ] || [ ! -e "$weights" ]; then
  echo "error: ${weights:-no weights given}${weights:+: no such file}; pass the published MODNet" \
    "weights as an argument or in MATTINGJAX_WEIGHTS (README.md, \"Weights\", says where they are)" >&2
  exit 2
fi

source scripts/setup.sh
set_up demo

out=out/demo
mkdir -p "$out"
checkpoint=$weights
if [ -f "$weights" ]; then
  checkpoint=$out/checkpoint
  "$PYTHON" scripts/import_weights.py --source "$weights" --output "$checkpoint" --overwrite
fi
"$PYTHON" -c "
import sys, skimage.data
from PIL import Image
Image.fromarray(skimage.data.astronaut()).save(sys.argv[1])" "$out/astronaut.png"

[ -e "$out/astronaut_panel.png" ] || echo "Matting (once, pymatting is compiled for it) ..."
"$PYTHON" scripts/predict.py --checkpoint "$checkpoint" --input "$out/astronaut.png" \
  --output "$out" --background '#00b140' --compilation_cache "$out/.cache"
echo "Look at $out/astronaut_panel.png: photo, alpha, cut-out."
