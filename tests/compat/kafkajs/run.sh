#!/usr/bin/env bash
# kafkajs against a cluster. It comes from the npm registry into a cache folder outside the repository
# (ODRADEK_NPM_CACHE, default ~/.cache/odradek-compat/kafkajs).
#
#   run.sh BOOTSTRAP [CASE...|--all]    without a case: those of allow_list.txt
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bootstrap=${1:?usage: run.sh BOOTSTRAP [CASE...]}
shift
cache=${ODRADEK_NPM_CACHE:-$HOME/.cache/odradek-compat/kafkajs}
if ! cmp -s "$here/package-lock.json" "$cache/package-lock.json" || [ ! -d "$cache/node_modules/kafkajs" ]; then
    mkdir -p "$cache"
    cp "$here/package.json" "$here/package-lock.json" "$cache"
    npm ci --silent --prefix "$cache"
fi
[ $# -gt 0 ] || mapfile -t cases < <(grep -v '^#' "$here/allow_list.txt")
export NODE_PATH=$cache/node_modules KAFKAJS_NO_PARTITIONER_WARNING=1
exec node "$here/cases.js" "$bootstrap" "${@:-${cases[@]}}"
