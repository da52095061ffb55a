#!/usr/bin/env bash
# run.sh ENDPOINT TOPIC [SERVER_KEY]: the Java binding's round trip. JeroMQ comes by Maven into a cache outside the repository
# (ODRADEK_MAVEN_CACHE, default ~/.cache/odradek-compat/jeromq).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${ODRADEK_MAVEN_CACHE:-$HOME/.cache/odradek-compat/jeromq}
if ! cmp -s "$here/pom.xml" "$cache/pom.xml" || [ ! -d "$cache/lib" ]; then
    mkdir -p "$cache"
    cp "$here/pom.xml" "$cache"
    mvn -q -f "$cache/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/lib"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
javac -Xlint:all -Werror -cp "$cache/lib/*" -d "$scratch" "$here"/RoundTrip.java "$here"/odradek/*.java
java -cp "$scratch:$cache/lib/*" RoundTrip "$@"
