#!/bin/sh
# The model beside its rivals: `tiny` pretrained without labels and from random weights, U-Net, UNet3D, TSViT, a random forest and
# a logistic regression, each trained with 1, 10 and 100 % of the labels and several seeds, and scored on regions that it did
# not learn from. Prints a table in Markdown: parameters, speed, score.
#   compare.sh            a simulated scene with known truth; real images too where SKYSENSE_REAL_DATA names a folder with
#                         stac/catalog.json
#   compare.sh simulated  or `real`, or `series`: one of them
# SKYSENSE_STEPS are the steps of each training (150), SKYSENSE_PRETRAIN_STEPS those of the pretraining (150), SKYSENSE_SEEDS the seeds
# ("0 1 2"), SKYSENSE_PRETRAIN_SEEDS those of the pretraining (the same; or one, whose model then serves all), SKYSENSE_SHARES the shares of the labels ("0.01 0.1 1"), SKYSENSE_SIZE the side of the scenes in pixels of 10 m (256),
# SKYSENSE_OUT the folder for everything, SKYSENSE_BIN the program. Scenes and models that are there are kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${SKYSENSE_OUT:-out/compare}
skysense=${SKYSENSE_BIN:-skysense}
seeds=${SKYSENSE_SEEDS:-0 1 2}
pretrained=${SKYSENSE_PRETRAIN_SEEDS:-$seeds}
shares=${SKYSENSE_SHARES:-0.01 0.1 1}
steps=${SKYSENSE_STEPS:-150}
pretraining=${SKYSENSE_PRETRAIN_STEPS:-150}
which=${1:-all}
mkdir -p "$out"
out=$(cd "$out" && pwd)

list() { printf '[%s]' "$(printf %s "$1" | tr ' ' ',')"; }

# pretrain CATALOG: a model for each of its seeds, from images alone; `models` names them.
pretrain() {
    models=
    for seed in $pretrained; do
        package=$out/$ground/pretrained-$seed
        if [ ! -f "$package/model.yaml" ]; then
            "$skysense" run "$here/../$workflow" -p catalog="$1" -p package="$package" -p seed="$seed" \
                -p steps="$pretraining" -p regions=0 >/dev/null
        fi
        models="$models${models:+, }\"$package\""
    done
}

# compare MODELS SEARCH CHIPS LABELS HOLDOUT: prints a table.
compare() {
    "$skysense" tool model.compare @"$here/compare.json" -p models="[$1]" -p search="$2" -p chips="$3" -p labels="$4" \
        -p holdout="$5" -p shares="$(list "$shares")" -p seeds="$(list "$seeds")" -p steps="$steps" -p out="$out/$ground" >/dev/null
    printf '\n%s\n\n' "$ground"
    cat "$out/$ground/comparison.md"
}

if [ "$which" = all ] || [ "$which" = simulated ]; then
    ground=simulated
    workflow=pretrain/ablation.yaml
    # Two places: what is compared lies where the pretraining never was.
    for scene in elsewhere here; do
        [ "$scene" = here ] && number=8 || number=7
        [ -f "$out/$scene/catalog.json" ] || "$skysense" simulate scene --out "$out/$scene" --size "${SKYSENSE_SIZE:-256}" \
            --dates 6 --radar-dates 4 --cloud 0.15 --seed "$number" >/dev/null
    done
    pretrain "$out/elsewhere/catalog.json"
    catalog=$out/here/catalog.json
    compare "$models" "{\"href\": \"$catalog\", \"collections\": [\"sentinel-2-l2a\", \"sentinel-1-rtc\"]}" \
        '{"size": 16, "overlap": 0, "mask": "clouds", "dates": {"max": 4, "prefer": "clear"}}' \
        "{\"href\": \"$catalog\", \"collections\": [\"labels\"]}" null
fi

if [ "$which" != simulated ] && [ -z "${SKYSENSE_REAL_DATA:-}" ]; then
    printf '\nREAL IMAGES NOT COMPARED: SKYSENSE_REAL_DATA names no folder with stac/catalog.json\n' >&2
    [ "$which" = all ] && exit 0
    exit 1
fi

if [ "$which" = all ] || [ "$which" = real ]; then
    # One date of Sentinel-2 and Sentinel-1 in Brazil with a land cover. The pretraining leaves the east of it out, and only the east
    # is compared on.
    ground=real
    workflow=real/pretrain.yaml
    catalog=$SKYSENSE_REAL_DATA/stac/catalog.json
    bbox='[-48.1174, -25.3263, -48.0947, -25.3056]'
    sensors='{"terramesh-s2l2a": "sentinel-2-l2a", "terramesh-s1rtc": "sentinel-1-rtc"}'
    pretrain "$catalog"
    compare "$models" "{\"href\": \"$catalog\", \"collections\": [\"terramesh-s2l2a\", \"terramesh-s1rtc\"], \"bbox\": $bbox,
            \"sensors\": $sensors}" \
        "{\"size\": 16, \"overlap\": 0, \"sensors\": $sensors,
            \"bands\": {\"s2\": [\"B02\", \"B03\", \"B04\", \"B05\", \"B06\", \"B07\", \"B08\", \"B8A\", \"B11\", \"B12\"], \"s1\": [\"VV\", \"VH\"]}}" \
        "{\"href\": \"$catalog\", \"collections\": [\"terramesh-labels\"], \"bbox\": $bbox}" '{"share": 0.4, "side": "east"}'
fi

if [ "$which" = all ] || [ "$which" = series ]; then
    # Five dates of Sentinel-2 in Slovenia, two of them clouds, with a land-use map of another year. There is no second place to
    # pretrain on: only the model from random weights takes part.
    ground=series
    catalog=$SKYSENSE_REAL_DATA/stac/catalog.json
    sensors='{"s2-l1c-slovenia": "sentinel-2-l1c"}'
    compare "" "{\"href\": \"$catalog\", \"collections\": [\"s2-l1c-slovenia\"], \"sensors\": $sensors}" \
        "{\"size\": 16, \"overlap\": 0, \"mask\": \"clouds\", \"sensors\": $sensors}" \
        "{\"href\": \"$catalog\", \"collections\": [\"s2-l1c-slovenia-labels\"]}" null
fi
