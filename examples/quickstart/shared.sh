# What both run.sh share; they source it.
# SKYSENSE names the command, SKYSENSE_OUT the folder for everything that is written, SKYSENSE_SECONDS the time that each
# training may take in place of what its workflow says.
out=${SKYSENSE_OUT:-$PWD/out/quickstart}
skysense=${SKYSENSE:-skysense}
began=$(date +%s)

step() { printf '\n\033[1m== %s\033[0m  (%s s)\n' "$*" "$(($(date +%s) - began))"; }

# learn FILE ARGS: runs a workflow that trains.
learn() {
    file=$1
    shift
    "$skysense" run "$file" ${SKYSENSE_SECONDS:+-p "seconds=$SKYSENSE_SECONDS"} "$@"
}

# simulate FOLDER ARGS: writes a scene, and sets scene_bbox to where its orthophoto lies.
simulate() {
    folder=$1
    shift
    "$skysense" simulate scene --out "$folder" --replace --json "$@" >"$folder.json"
    scene_bbox=$(tr -d ' \n' <"$folder.json" | sed 's/.*"hr_bbox":\[\([^]]*\)\].*/\1/')
}

# closing PICTURE MAP FEATURES SCORE: where everything is; three commands to try next follow on stdin.
closing() {
    step "done"
    printf 'picture   %s\nmap       %s\nfeatures  %s\nscore     %s\n\nTry next:\n' "$1" "$2" "$3" "$4"
    cat
}
