#!/bin/sh
# From a simulated scene to a pretrained model. SKYSENSE_SIZE is the side of the scene in pixels of 10 m, SKYSENSE_STEPS
# the steps of training, SKYSENSE_OUT the folder for everything, SKYSENSE_BIN the program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${SKYSENSE_OUT:-out/pretrain}
skysense=${SKYSENSE_BIN:-skysense}
mkdir -p "$out"

"$skysense" simulate scene --out "$out/scene" --replace --size "${SKYSENSE_SIZE:-256}" --dates 6 --radar-dates 4 --cloud 0.15 --seed 7
"$skysense" plan "$here/workflow.yaml" -p catalog="$out/scene/catalog.json" -p package="$out/model"
"$skysense" run "$here/workflow.yaml" -p catalog="$out/scene/catalog.json" -p package="$out/model" \
    -p steps="${SKYSENSE_STEPS:-150}" --json >"$out/run.json"
"$skysense" model verify "$out/model"
