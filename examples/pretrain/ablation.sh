#!/bin/sh
# What each term of the loss is worth: pretrains `tiny` with the image level alone, then with objects, pixels, the
# alignment of modalities and the prototypes of regions added one after the other, each with several seeds, and measures
# the features by k-NN and a linear map on ground that none of them saw, beside random weights and a pixel's own values.
# Prints a table in Markdown.
#   ablation.sh             a simulated scene; real images too where SKYSENSE_REAL_DATA names a folder with stac/catalog.json
#   ablation.sh simulated   or `real`: one of them
#   ablation.sh real all    only the model with all terms
# SKYSENSE_STEPS are the steps of each model (150), SKYSENSE_SEEDS the seeds ("0 1 2"), SKYSENSE_SIZE the side of the scene
# in pixels of 10 m (256), SKYSENSE_OUT the folder for everything, SKYSENSE_BIN the program. Models that are there are kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${SKYSENSE_OUT:-out/ablation}
skysense=${SKYSENSE_BIN:-skysense}
seeds=${SKYSENSE_SEEDS:-0 1 2}
steps=${SKYSENSE_STEPS:-150}
which=${1:-both}
terms=${2:-each}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# train NAME OBJECT PIXEL ALIGNMENT REGIONS: a model for each seed, and a row of the table before those before.
train() {
    models=
    for seed in $seeds; do
        package=$out/$ground/$(printf %s "$1" | tr -d '+ ')-$seed
        if [ ! -f "$package/model.yaml" ]; then
            "$skysense" run "$here/$workflow" -p catalog="$catalog" -p package="$package" -p seed="$seed" \
                -p steps="$steps" -p object="$2" -p pixel="$3" -p alignment="$4" -p regions="$5" >/dev/null
        fi
        models="$models${models:+, }\"$package\""
    done
    groups="{\"name\": \"$1\", \"models\": [$models]}${groups:+, }$groups"
}

# compare SEARCH CHIPS LABELS: trains on the ground and prints its table.
compare() {
    groups=
    if [ "$terms" = each ]; then
        train "image alone" 0 0 0 0
        train "+ objects" 1 0 0 0
        train "+ pixels" 1 1 0 0
        train "+ alignment" 1 1 1 0
        train "+ geo-context" 1 1 1 64
    else
        train "all terms" 1 1 1 64
    fi
    "$skysense" tool model.probe @"$here/probe.json" -p groups="[$groups]" -p search="$1" -p chips="$2" -p labels="$3" \
        -p seeds="[$(printf %s "$seeds" | tr ' ' ',')]" -p out="$out/$ground/probe" >/dev/null
    printf '\n%s, %s steps, seeds %s\n\n' "$ground" "$steps" "$seeds"
    cat "$out/$ground/probe/probe.md"
}

if [ "$which" != real ]; then
    ground=simulated
    workflow=ablation.yaml
    catalog=$out/scene/catalog.json
    [ -f "$catalog" ] || "$skysense" simulate scene --out "$out/scene" --size "${SKYSENSE_SIZE:-256}" \
        --dates 6 --radar-dates 4 --cloud 0.15 --seed 7 >/dev/null
    compare "{\"href\": \"$catalog\", \"collections\": [\"sentinel-2-l2a\", \"sentinel-1-rtc\"]}" \
        '{"size": 16, "mask": "clouds", "dates": {"max": 4, "prefer": "clear"}}' \
        "{\"href\": \"$catalog\", \"collections\": [\"labels\"]}"
fi
if [ "$which" = real ] || { [ "$which" = both ] && [ -n "${SKYSENSE_REAL_DATA:-}" ]; }; then
    ground=real
    workflow=../real/pretrain.yaml
    catalog=${SKYSENSE_REAL_DATA:?names the folder that holds stac/catalog.json}/stac/catalog.json
    bbox='[-48.1174, -25.3263, -48.0947, -25.3056]'
    sensors='{"terramesh-s2l2a": "sentinel-2-l2a", "terramesh-s1rtc": "sentinel-1-rtc"}'
    compare "{\"href\": \"$catalog\", \"collections\": [\"terramesh-s2l2a\", \"terramesh-s1rtc\"], \"bbox\": $bbox,
            \"sensors\": $sensors}" \
        "{\"size\": 16, \"sensors\": $sensors,
            \"bands\": {\"s2\": [\"B02\", \"B03\", \"B04\", \"B05\", \"B06\", \"B07\", \"B08\", \"B8A\", \"B11\", \"B12\"], \"s1\": [\"VV\", \"VH\"]}}" \
        "{\"href\": \"$catalog\", \"collections\": [\"terramesh-labels\"], \"bbox\": $bbox}"
fi
