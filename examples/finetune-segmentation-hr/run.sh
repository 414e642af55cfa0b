#!/bin/sh
# From a simulated orthophoto to a map of its own pixels. SKYSENSE_STEPS are the steps of training, SKYSENSE_OUT the folder for
# everything, SKYSENSE_BIN the program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${SKYSENSE_OUT:-out/finetune-segmentation-hr}
skysense=${SKYSENSE_BIN:-skysense}
mkdir -p "$out"

"$skysense" simulate scene --out "$out/scene" --replace --size 64 --dates 1 --radar-dates 0 --hr 48 --objects 60 --seed 7
"$skysense" run "$here/workflow.yaml" -p catalog="$out/scene/catalog.json" -p package="$out/model" -p out="$out/map" \
    -p report="$out/report.html" -p steps="${SKYSENSE_STEPS:-200}" --json >"$out/run.json"
"$skysense" model verify "$out/model"
