#!/usr/bin/env bash
# run.sh ENDPOINT TOPIC: the Go binding's round trip. zmq4 comes from the Go module proxy into Go's own cache.
set -euo pipefail
cd "$(dirname "$0")"
test -z "$(gofmt -l .)" || { echo "gofmt would change: $(gofmt -l .)"; exit 1; }
go vet ./...
exec go run ./roundtrip "$@"
