#!/bin/sh
# The main job from a catalog to a map, a score and a picture; called by `./x quickstart [--real]`.
# SKYSENSE names the command, SKYSENSE_OUT the folder for everything that is written.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${SKYSENSE_OUT:-$PWD/out/quickstart}
skysense=${SKYSENSE:-skysense}
began=$(date +%s)

step() { printf '\n\033[1m== %s\033[0m  (%s s)\n' "$*" "$(($(date +%s) - began))"; }

case ${1:-} in
--real) exec sh "$here/../real/run.sh" ;;
'') ;;
*) printf 'quickstart: unknown option %s, expected --real or nothing\n' "$1" >&2; exit 2 ;;
esac

scene=$out/scene
mkdir -p "$out"

step "simulating a scene of 2.56 km with known truth: Sentinel-2, Sentinel-1, orthophoto, labels"
"$skysense" simulate scene --out "$scene" --size 256 --dates 8 --radar-dates 4 --cloud 0.15 --hr 64 --seed 7 --replace --json >"$out/scene.json"
bbox=$(tr -d ' \n' <"$out/scene.json" | sed 's/.*"hr_bbox":\[\([^]]*\)\].*/\1/')
find "$scene" -name '*.tif' | wc -l | sed 's/^ *//; s/$/ COGs in 4 collections under '"$(printf '%s' "$scene" | sed 's/[\/&]/\\&/g')"'/'

step "the plan of the map: nothing but headers has been read"
"$skysense" plan "$here/map.yaml" -p catalog="$scene/catalog.json" -p out="$out/map"

step "training on the western part, mapping all of it"
"$skysense" run "$here/map.yaml" -p catalog="$scene/catalog.json" -p out="$out/map" -p package="$out/map-model"

step "features of the encoder for orthophoto + Sentinel-2 + Sentinel-1"
"$skysense" run "$here/features.yaml" -p catalog="$scene/catalog.json" -p bbox="$bbox" -p out="$out/features" -p package="$out/features-model"

step "scoring on the eastern strip that no training chip touched"
"$skysense" tool map.score --json '{
  "prediction": {"href": "'"$out"'/map/collection.json", "assets": ["class"]},
  "labels": {"href": "'"$scene"'/catalog.json", "collection": "labels"},
  "holdout": {"share": 0.3, "side": "east"},
  "pixels": {
    "search": {"href": "'"$scene"'/catalog.json", "collections": ["sentinel-2-l2a"]},
    "chips": {"size": 16, "overlap": 4, "mask": "clouds", "dates": {"max": 8, "prefer": "clear"}}
  },
  "out": "'"$out"'"
}' >/dev/null
cat "$out/score.md"

step "drawing"
"$skysense" tool map.picture --json '{
  "out": "'"$out"'/quickstart.png",
  "columns": 3, "side": 420,
  "panels": [
    {"title": "Sentinel-2, clearest date", "kind": "rgb", "source": {"href": "'"$scene"'/catalog.json", "collection": "sentinel-2-l2a", "assets": ["B04", "B03", "B02"]}},
    {"title": "Labels (east is held out)", "kind": "classes", "source": {"href": "'"$scene"'/catalog.json", "collection": "labels"}},
    {"title": "Prediction", "kind": "classes", "source": {"href": "'"$out"'/map/collection.json", "assets": ["class"]}},
    {"title": "Orthophoto", "kind": "rgb", "source": {"href": "'"$scene"'/catalog.json", "collection": "aerial-rgb"}},
    {"title": "Sentinel-1, same part", "kind": "radar", "bbox": ['"$bbox"'], "source": {"href": "'"$scene"'/catalog.json", "collection": "sentinel-1-rtc", "assets": ["vv", "vh"]}},
    {"title": "Features HR+S2+S1 (PCA)", "kind": "features", "source": {"href": "'"$out"'/features/collection.json", "assets": ["features"]}}
  ]
}' >/dev/null

step "done"
cat <<END
picture   $out/quickstart.png
map       $out/map/collection.json
features  $out/features/collection.json
score     $out/score.md

Try next:
  ./x nodes raster.chips                              what a node does and takes
  ./x graph examples/quickstart/map.yaml              the workflow as a diagram
  ./x quickstart --real                               the same on real satellite images
END
