#!/bin/sh
# The main job on real satellite images; called by `./x quickstart --real`.
# SKYSENSE_REAL_DATA names a folder that holds stac/catalog.json. Without it a public STAC API is asked: SKYSENSE_STAC_API,
# SKYSENSE_BBOX and SKYSENSE_DATETIME name another one, another area and other dates than public.yaml.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../quickstart/shared.sh"
quickstart=$out
out=$out/real
mkdir -p "$out"

if [ -z "${SKYSENSE_REAL_DATA:-}" ]; then
    . "$here/public.sh"
    exit
fi
catalog=$SKYSENSE_REAL_DATA/stac/catalog.json

step "Slovenia: the plan, then land cover from a labelled Sentinel-2 series"
"$skysense" plan "$here/slovenia.yaml" -p catalog="$catalog" -p out="$out/slovenia"
learn "$here/slovenia.yaml" -p catalog="$catalog" -p out="$out/slovenia" -p package="$out/slovenia-model"

step "Slovenia: score on the eastern strip that no training chip touched"
"$skysense" tool map.score --workflow "$here/slovenia.yaml" -p catalog="$catalog" -p out="$out/slovenia" \
    out="$out/slovenia-score" >/dev/null
cat "$out/slovenia-score/score.md"

step "TerraMesh: features of Sentinel-2 and Sentinel-1 together"
learn "$here/terramesh.yaml" -p catalog="$catalog" -p out="$out/terramesh" -p package="$out/terramesh-model"

step "Belgium: the same model on a series that has four of the ten bands"
"$skysense" run "$here/belgium.yaml" -p catalog="$catalog" -p model="$out/terramesh-model" -p out="$out/belgium"

# One plot has no class map to learn from: its encoder is the one that the quickstart trains on a simulated scene.
encoder=$quickstart/features-model
if [ ! -d "$encoder" ]; then
    encoder=$out/features-model
    step "training the encoder for three modalities on a simulated scene"
    simulate "$out/scene" --size 64 --hr 64 --dates 4 --radar-dates 4
    learn "$here/../quickstart/features.yaml" -p catalog="$out/scene/catalog.json" -p bbox="$scene_bbox" \
        -p out="$out/scene-features" -p package="$encoder"
fi
step "TreeSat: features of an aerial image, Sentinel-2 and Sentinel-1 of one plot"
"$skysense" run "$here/treesat.yaml" -p catalog="$catalog" -p model="$encoder" -p out="$out/treesat"

step "drawing"
"$skysense" tool map.picture @"$here/picture.json" -p picture="$out/real.png" -p catalog="$catalog" \
    -p slovenia="$out/slovenia/collection.json" -p terramesh="$out/terramesh/collection.json" \
    -p treesat="$out/treesat/collection.json" -p belgium="$out/belgium/collection.json" >/dev/null

closing "$out/real.png" "$out/slovenia/collection.json" "$out/terramesh/collection.json" "$out/slovenia-score/score.md" <<'END'
  ./x runs show                                       what the last run read, decided and wrote
  ./x graph examples/real/slovenia.yaml               the workflow as a diagram
  ./x nodes skysense.finetune                         how a model is trained on labels of your own
END
