#!/bin/sh
# From a simulated scene to a map. SKYSENSE_SIZE is the side of the scene in pixels of 10 m, SKYSENSE_STEPS the steps of
# training, SKYSENSE_OUT the folder for everything, SKYSENSE_BIN the program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${SKYSENSE_OUT:-out/finetune-regression}
skysense=${SKYSENSE_BIN:-skysense}
mkdir -p "$out"

"$skysense" simulate scene --out "$out/scene" --replace --size "${SKYSENSE_SIZE:-192}" --dates 6 --radar-dates 0 --cover --cloud 0.1 --seed 7
"$skysense" run "$here/workflow.yaml" -p catalog="$out/scene/catalog.json" -p package="$out/model" -p out="$out/map" \
    -p report="$out/report.html" \
    -p steps="${SKYSENSE_STEPS:-300}" --json >"$out/run.json"
"$skysense" model card "$out/model"
