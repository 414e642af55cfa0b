# The part of run.sh without images at hand: a public STAC API gives images and labels. run.sh sources it.
api=${SKYSENSE_STAC_API:-https://planetarycomputer.microsoft.com/api/stac/v1}
bbox=${SKYSENSE_BBOX:-14.2,48.14,14.24,48.165}
datetime=${SKYSENSE_DATETIME:-2021-04-01/2021-10-15}
set -- -p api="$api" -p bbox="$bbox" -p datetime="$datetime" -p out="$out/public" -p features="$out/public-features" \
    -p package="$out/public-model"

step "no SKYSENSE_REAL_DATA: Sentinel-2 and ESA WorldCover labels of $bbox from $api"
"$skysense" plan "$here/public.yaml" "$@"

step "training on the western part, mapping all of it, and the features of its encoder"
learn "$here/public.yaml" "$@"

step "scoring on the eastern strip that no training chip touched"
"$skysense" tool map.score --workflow "$here/public.yaml" "$@" out="$out/public-score" >/dev/null
cat "$out/public-score/score.md"

step "drawing"
"$skysense" tool map.picture @"$here/public-picture.json" -p picture="$out/public.png" -p api="$api" -p bbox="[$bbox]" \
    -p datetime="$datetime" -p map="$out/public/collection.json" -p features="$out/public-features/collection.json" \
    >/dev/null

closing "$out/public.png" "$out/public/collection.json" "$out/public-features/collection.json" "$out/public-score/score.md" <<'END'
  ./x runs show                                       what the last run read, decided and wrote
  ./x graph examples/real/public.yaml                 the workflow as a diagram
  ./x nodes stac.search                               how to ask for another area and other dates
END
