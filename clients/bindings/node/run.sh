#!/usr/bin/env bash
# run.sh ENDPOINT TOPIC [SERVER_KEY]: the Node binding's round trip. npm's zeromq goes into a cache outside the repository
# (ODRADEK_NPM_CACHE, default ~/.cache/odradek-compat/zeromq).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${ODRADEK_NPM_CACHE:-$HOME/.cache/odradek-compat/zeromq}
if ! cmp -s "$here/package.json" "$cache/package.json" || [ ! -d "$cache/node_modules/zeromq" ]; then
    mkdir -p "$cache"
    cp "$here/package.json" "$cache"
    npm install --silent --no-audit --no-fund --prefix "$cache"
fi
NODE_PATH=$cache/node_modules exec node "$here/round_trip.js" "$@"
