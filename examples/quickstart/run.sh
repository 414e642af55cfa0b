#!/bin/sh
# The main job from a catalog to a map, a score and a picture; called by `./x quickstart [--real]`.
# SKYSENSE_SIZE is the side of the scene in pixels of 10 m; shared.sh says what else is read from the environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
--real) exec sh "$here/../real/run.sh" ;;
'') ;;
*) printf 'quickstart: unknown option %s, expected --real or nothing\n' "$1" >&2; exit 2 ;;
esac
. "$here/shared.sh"

size=${SKYSENSE_SIZE:-256}
scene=$out/scene
catalog=$scene/catalog.json
mkdir -p "$out"

step "simulating a scene of $((size * 10)) m with known truth: Sentinel-2, Sentinel-1, orthophoto, labels"
simulate "$scene" --size "$size" --hr "$((size / 4))" --dates 8 --radar-dates 4 --cloud 0.15 --seed 7
printf '%s COGs in 4 collections under %s\n' "$(($(find "$scene" -name '*.tif' | wc -l)))" "$scene"

step "the plan of the map: nothing but headers has been read"
"$skysense" plan "$here/map.yaml" -p catalog="$catalog" -p out="$out/map"

step "training on the western part, mapping all of it"
learn "$here/map.yaml" -p catalog="$catalog" -p out="$out/map" -p package="$out/map-model"

step "features of the encoder for orthophoto + Sentinel-2 + Sentinel-1"
learn "$here/features.yaml" -p catalog="$catalog" -p bbox="$scene_bbox" -p out="$out/features" -p package="$out/features-model"

step "scoring on the eastern strip that no training chip touched"
"$skysense" tool map.score --workflow "$here/map.yaml" -p catalog="$catalog" -p out="$out/map" out="$out" >/dev/null
cat "$out/score.md"

step "drawing"
"$skysense" tool map.picture @"$here/picture.json" -p picture="$out/quickstart.png" -p catalog="$catalog" \
    -p map="$out/map/collection.json" -p features="$out/features/collection.json" -p bbox="[$scene_bbox]" >/dev/null

closing "$out/quickstart.png" "$out/map/collection.json" "$out/features/collection.json" "$out/score.md" <<'END'
  ./x nodes raster.chips                              what a node does and takes
  ./x graph examples/quickstart/map.yaml              the workflow as a diagram
  ./x quickstart --real                               the same on real satellite images
END
