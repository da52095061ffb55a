#!/usr/bin/env bash
# confluent-kafka-python's own integration tests against a cluster, once for each group protocol.
#
#   run.sh BOOTSTRAP [TEST...|--all]    without a test: those of allow_list.txt; TEST is pytest's node id
#
# The tests are in no package on PyPI, so their source is cloned from GitHub; the client itself comes from PyPI.
# ODRADEK_CONFLUENT_SOURCE   a checkout of confluent-kafka-python (default ~/.cache/odradek-compat/confluent-kafka-python)
# ODRADEK_CONFLUENT_VENV     where its dependencies are installed (default ~/.cache/odradek-compat/confluent-venv)
# GROUP_PROTOCOLS            "classic", "consumer" or both (default: both)
# The cluster should have min.insync.replicas=1 set: one test expects to see it listed as set, as KIP-966 does.
# Exit 77: the source can't be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bootstrap=${1:?usage: run.sh BOOTSTRAP [TEST...]}
shift
tag=v2.15.0
source=${ODRADEK_CONFLUENT_SOURCE:-$HOME/.cache/odradek-compat/confluent-kafka-python}
venv=${ODRADEK_CONFLUENT_VENV:-$HOME/.cache/odradek-compat/confluent-venv}
if [ ! -d "$source/tests" ]; then
    timeout 120 git clone --quiet --depth 1 --branch $tag https://github.com/confluentinc/confluent-kafka-python "$source" \
        || { echo "skipped: confluent-kafka-python's source can't be cloned"; exit 77; }
fi
if [ ! -x "$venv/bin/pytest" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka[schemaregistry,avro,json,protobuf]==2.16.1' \
        trivup==0.12.2 pytest pytest-timeout pytest-asyncio
fi
case ${1:-} in
'') mapfile -t tests < <(grep -v '^#' "$here/allow_list.txt") ;;
--all) tests=(tests/integration/admin tests/integration/consumer tests/integration/producer) ;;
*) tests=("$@") ;;
esac
# Not in the checkout: its root has the client's Python part, without the C one.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r "$source/tests" "$scratch"
cd "$scratch"
status=0
for protocol in ${GROUP_PROTOCOLS:-classic consumer}; do
    echo "group.protocol=$protocol"
    BROKERS=$bootstrap TEST_CONSUMER_GROUP_PROTOCOL=$protocol "$venv/bin/python" -m pytest -q -rfE -p no:cacheprovider \
        -W ignore --tb=short --show-capture=no --timeout 120 "${tests[@]}" || status=$?
done
exit $status
