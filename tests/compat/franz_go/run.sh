#!/usr/bin/env bash
# franz-go against a cluster: our own round trip (main.go), then the tests of its kgo package, which is what its author
# runs against Kafka. The source comes from the Go module proxy into Go's own cache; nothing of it is kept here.
#
#   run.sh BOOTSTRAP            the tests of allow_list.txt; exit 0 when each passes (a skipped one does not)
#   run.sh BOOTSTRAP TEST...    these tests (`-run` patterns)
#   run.sh BOOTSTRAP --all      every test of the package
#
# KGO_TEST_RECORDS (default 50000): how many records the ETL chains carry. KGO_LOG_LEVEL as in kgo.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
bootstrap=${1:?usage: run.sh BOOTSTRAP [TEST...]}
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export KGO_SEEDS=$bootstrap KGO_TEST_RF=3 KGO_TEST_RECORDS=${KGO_TEST_RECORDS:-50000}

if [ $# = 0 ]; then
    go build -o "$scratch/round_trip" .
    echo "round trip: $("$scratch/round_trip" "$bootstrap" "franz-go-$RANDOM")"
    mapfile -t wanted < <(grep -v '^#' allow_list.txt)
    pattern="^($(printf '%s\n' "${wanted[@]%%/*}" | sort -u | paste -sd'|'))\$"
elif [ "$1" = --all ]; then
    wanted=() pattern=.
else
    wanted=() pattern=$(IFS='|'; echo "$*")
fi

go mod download
module=$(go list -m -f '{{.Dir}}' github.com/twmb/franz-go)
(cd "$module" && go test -c -o "$scratch/kgo.test" ./pkg/kgo)
cd "$module/pkg/kgo" # one test reads its own source
status=0
"$scratch/kgo.test" -test.v -test.timeout 540s -test.run "$pattern" >"$scratch/output" 2>&1 || status=$?

for test in "${wanted[@]}"; do
    grep -qE -- "^ *--- PASS: $test \(" "$scratch/output" || { echo "not passed: $test"; status=1; }
done
grep -E -- '^ *--- (FAIL|SKIP)|^panic: ' "$scratch/output" || true
if [ $status != 0 ]; then
    grep -E -- '_test\.go:[0-9]+:' "$scratch/output" | grep -v 'completed in\|NOT DELETING\|deleting' | cut -c1-300 | tail -30
    [ -z "${KEEP_OUTPUT:-}" ] || cp "$scratch/output" "$KEEP_OUTPUT"
fi
echo "$(grep -cE -- '^ *--- PASS' "$scratch/output") passed"
exit $status
