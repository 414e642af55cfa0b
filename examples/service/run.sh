#!/bin/sh
# Simulates a scene, trains a small model on it, and serves the workflows of this folder until Ctrl-C.
# SKYSENSE names the command, LISTEN the address.
set -eu
cd "$(dirname "$0")"
skysense=${SKYSENSE:-skysense}
mkdir -p incoming
[ -f scene/catalog.json ] || "$skysense" simulate scene --out scene --size 128 --dates 6 --cloud 0.1 --seed 7
[ -d model ] || "$skysense" run train.yaml
exec "$skysense" serve flows --state state/service.db --listen "${LISTEN:-127.0.0.1:8080}" "$@"
