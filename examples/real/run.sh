#!/bin/sh
# The main job on real satellite images; called by `./x quickstart --real`.
# SKYSENSE_REAL_DATA names a folder that holds stac/catalog.json; without it a public STAC API is asked.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
quickstart=${SKYSENSE_OUT:-$PWD/out/quickstart}
out=$quickstart/../real
mkdir -p "$out"
out=$(cd "$out" && pwd)
skysense=${SKYSENSE:-skysense}
began=$(date +%s)

step() { printf '\n\033[1m== %s\033[0m  (%s s)\n' "$*" "$(($(date +%s) - began))"; }

if [ -z "${SKYSENSE_REAL_DATA:-}" ]; then
    model=$quickstart/map-model
    [ -d "$model" ] || { printf 'quickstart: run ./x quickstart first: it trains the model that maps the public images\n' >&2; exit 2; }
    step "no SKYSENSE_REAL_DATA: asking a public STAC API"
    "$skysense" plan "$here/public.yaml" -p model="$model" -p out="$out/public"
    "$skysense" run "$here/public.yaml" -p model="$model" -p out="$out/public"
    printf 'map  %s\n' "$out/public/collection.json"
    exit
fi

catalog=$SKYSENSE_REAL_DATA/stac/catalog.json

step "Slovenia: the plan, then land cover from a labelled Sentinel-2 series"
"$skysense" plan "$here/slovenia.yaml" -p catalog="$catalog" -p out="$out/slovenia"
"$skysense" run "$here/slovenia.yaml" -p catalog="$catalog" -p out="$out/slovenia" -p package="$out/slovenia-model"

step "Slovenia: score on the eastern strip that no training chip touched"
"$skysense" tool map.score --json '{
  "prediction": {"href": "'"$out"'/slovenia/collection.json", "assets": ["class"]},
  "labels": {"href": "'"$catalog"'", "collection": "s2-l1c-slovenia-labels", "assets": ["labels"]},
  "holdout": {"share": 0.3, "side": "east"},
  "pixels": {
    "search": {"href": "'"$catalog"'", "collections": ["s2-l1c-slovenia"], "sensors": {"s2-l1c-slovenia": "sentinel-2-l1c"}},
    "chips": {"size": 16, "overlap": 4, "mask": "clouds", "sensors": {"s2-l1c-slovenia": "sentinel-2-l1c"}}
  },
  "out": "'"$out"'/slovenia-score"
}' >/dev/null
cat "$out/slovenia-score/score.md"

step "TerraMesh: features of Sentinel-2 and Sentinel-1 together"
"$skysense" run "$here/terramesh.yaml" -p catalog="$catalog" -p out="$out/terramesh" -p package="$out/terramesh-model"

step "Belgium: the same model on a series that has four of the ten bands"
"$skysense" run "$here/belgium.yaml" -p catalog="$catalog" -p model="$out/terramesh-model" -p out="$out/belgium"

# One plot has no class map to learn from: its encoder is the one that the quickstart trains on a simulated scene.
if [ ! -d "$quickstart/features-model" ]; then
    step "training the encoder for three modalities on a simulated scene"
    "$skysense" simulate scene --out "$out/scene" --size 64 --hr 64 --dates 4 --radar-dates 4 --replace --json >"$out/scene.json"
    bbox=$(tr -d ' \n' <"$out/scene.json" | sed 's/.*"hr_bbox":\[\([^]]*\)\].*/\1/')
    "$skysense" run "$here/../quickstart/features.yaml" -p catalog="$out/scene/catalog.json" -p bbox="$bbox" -p out="$out/scene-features" -p package="$quickstart/features-model"
fi
step "TreeSat: features of an aerial image, Sentinel-2 and Sentinel-1 of one plot"
"$skysense" run "$here/treesat.yaml" -p catalog="$catalog" -p model="$quickstart/features-model" -p out="$out/treesat"

step "drawing"
"$skysense" tool map.picture --json '{
  "out": "'"$out"'/real.png",
  "columns": 3, "side": 420,
  "panels": [
    {"title": "Slovenia, Sentinel-2, 2015", "kind": "rgb", "source": {"href": "'"$catalog"'", "collection": "s2-l1c-slovenia", "assets": ["B04", "B03", "B02"]}},
    {"title": "Land use 2017", "kind": "classes", "source": {"href": "'"$catalog"'", "collection": "s2-l1c-slovenia-labels", "assets": ["labels"]}},
    {"title": "Prediction (east held out)", "kind": "classes", "source": {"href": "'"$out"'/slovenia/collection.json", "assets": ["class"]}},
    {"title": "Brazil, Sentinel-2", "kind": "rgb", "source": {"href": "'"$catalog"'", "collection": "terramesh-s2l2a", "id": "S2L2A_282D_485L_3_3", "bands": [4, 3, 2]}},
    {"title": "Brazil, Sentinel-1", "kind": "radar", "source": {"href": "'"$catalog"'", "collection": "terramesh-s1rtc", "id": "S1RTC_282D_485L_3_3"}},
    {"title": "Features S2+S1 (PCA)", "kind": "features", "source": {"href": "'"$out"'/terramesh/collection.json", "assets": ["features"]}},
    {"title": "TreeSat, aerial image", "kind": "rgb", "source": {"href": "'"$catalog"'", "collection": "treesat-aerial", "bands": [2, 3, 4]}},
    {"title": "Features HR+S2+S1 (PCA)", "kind": "features", "source": {"href": "'"$out"'/treesat/collection.json", "assets": ["features"]}},
    {"title": "Belgium, features of 4 bands", "kind": "features", "source": {"href": "'"$out"'/belgium/collection.json", "assets": ["features"]}}
  ]
}' >/dev/null
printf '\npicture   %s\nscore     %s\n' "$out/real.png" "$out/slovenia-score/score.md"
