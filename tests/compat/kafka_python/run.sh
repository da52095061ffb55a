#!/usr/bin/env bash
# kafka-python's own integration tests against a cluster.
#
#   run.sh BOOTSTRAP [TEST...|--all]    without a test: those of allow_list.txt; TEST is pytest's node id
#
# Its package on PyPI has only a part of the tests, so the source is cloned from GitHub, and the client of that tag is used.
# ODRADEK_KAFKA_PYTHON_SOURCE   a checkout of kafka-python (default ~/.cache/odradek-compat/kafka-python)
# ODRADEK_PYTHON                an interpreter with pytest, pytest-timeout and the codecs (default: the project's .venv)
# The cluster should have group.min.session.timeout.ms=1000, as the one that kafka-python starts for itself.
# Exit 77: the source can't be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bootstrap=${1:?usage: run.sh BOOTSTRAP [TEST...]}
shift
tag=3.0.11
python=${ODRADEK_PYTHON:-$here/../../../.venv/bin/python}
source=${ODRADEK_KAFKA_PYTHON_SOURCE:-$HOME/.cache/odradek-compat/kafka-python}
if [ ! -d "$source/test" ]; then
    timeout 120 git clone --quiet --depth 1 --branch $tag https://github.com/dpkp/kafka-python "$source" \
        || { echo "skipped: kafka-python's source can't be cloned"; exit 77; }
fi
case ${1:-} in
'') mapfile -t tests < <(grep -v '^#' "$here/allow_list.txt") ;;
--all) tests=(test/integration/test_{admin,consumer,producer}_integration.py) ;;
*) tests=("$@") ;;
esac
cd "$source"
# KAFKA_ROOT must exist although nothing is started from it when KAFKA_URI names a running cluster.
export KAFKA_VERSION=4.2.0 KAFKA_URI=kafka://${bootstrap%%,*} KAFKA_ROOT=$source PYTHONPATH=$source PYTHONDONTWRITEBYTECODE=1
exec "$python" -m pytest -q -rfE -p no:cacheprovider -p no:hypothesispytest -W ignore --tb=short --show-capture=no \
    --timeout 90 "${tests[@]}"
