#!/usr/bin/env bash
# Sets up .venv and mattes a portrait (an astronaut, public domain); results in out/demo.
#   bash scripts/demo.sh [WEIGHTS]
# WEIGHTS, or the variable MATTINGJAX_WEIGHTS: the name of weights that ship (unless given:
# modnet_p), a checkpoint directory, or a file that scripts/import_weights.py reads.
set -euo pipefail
weights=${1:-${MATTINGJAX_WEIGHTS:-modnet_p}}
[ ! -e "$weights" ] || weights=$(realpath -- "$weights")
cd "$(dirname "$0")/.."
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

"$PYTHON" scripts/predict.py --checkpoint "$checkpoint" --input "$out/astronaut.png" \
  --output "$out" --background '#00b140' --compilation_cache "$out/.cache"
echo "Look at $out/astronaut_panel.png: photo, alpha, cut-out."
