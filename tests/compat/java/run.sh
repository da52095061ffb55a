#!/usr/bin/env bash
# Kafka's own command line tools, and its newest consumer in groups (Groups.java), against a cluster.
#
#   run.sh BOOTSTRAP            every case of allow_list.txt; exit 0 when all pass
#   run.sh BOOTSTRAP CASE...    these cases
#   run.sh BOOTSTRAP --all      every case there is, also those not (yet) on the list
#
# The jars come from Maven Central, once, into a cache folder outside the repository:
#   ODRADEK_KAFKA_LIB      all of Kafka 4.3.0           (default ~/.cache/kafka-peer/lib-4.3.0)
#   ODRADEK_KAFKA_CLIENTS  kafka-clients 4.4.0 alone    (default ~/.cache/kafka-peer/clients-4.4.0)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bootstrap=${1:?usage: run.sh BOOTSTRAP [CASE...]}
shift
library=${ODRADEK_KAFKA_LIB:-$HOME/.cache/kafka-peer/lib-4.3.0}
newest=${ODRADEK_KAFKA_CLIENTS:-$HOME/.cache/kafka-peer/clients-4.4.0}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

resolve() { # resolve FOLDER GROUP:ARTIFACT:VERSION... ; nothing to do when the folder is there
    local folder=$1 coordinate
    shift
    [ -d "$folder" ] && return
    {
        echo '<project><modelVersion>4.0.0</modelVersion><groupId>compat</groupId><artifactId>compat</artifactId>'
        echo '<version>1</version><dependencies>'
        for coordinate in "$@"; do
            IFS=: read -r group artifact version <<<"$coordinate"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } >"$scratch/pom.xml"
    mvn -q -f "$scratch/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder.part"
    mv "$folder.part" "$folder"
}
resolve "$library" org.apache.kafka:kafka_2.13:4.3.0 org.apache.kafka:kafka-tools:4.3.0 org.slf4j:slf4j-simple:1.7.36
resolve "$newest" org.apache.kafka:kafka-clients:4.4.0 org.slf4j:slf4j-simple:1.7.36

run_java() { # run_java CLASSPATH CLASS ARGUMENT...
    local classpath=$1
    shift
    timeout 90 java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -cp "$classpath" "$@"
}
tool() { run_java "$library/*" "$@"; }
newest_tool() { run_java "$newest/*:$library/*" "$@"; } # the tools of 4.3 with the clients of 4.4

# expect TEXT COMMAND... : run it, show what it printed, and fail unless TEXT (a regular expression) is in there
expect() {
    local text=$1 printed status=0
    shift
    printed=$("$@" 2>&1) || status=$?
    [ $status = 0 ] || { echo "$printed"; echo "exit status $status of: $*"; return 1; }
    echo "$printed"
    grep -qE -- "$text" <<<"$printed" || { echo "expected /$text/ from: $*"; return 1; }
}
# refused TEXT COMMAND... : the same, of a command that must end with an error
refused() {
    local text=$1 printed
    shift
    printed=$("$@" 2>&1) && { echo "$printed"; echo "should have been refused: $*"; return 1; }
    echo "$printed"
    grep -qE -- "$text" <<<"$printed" || { echo "expected /$text/ from: $*"; return 1; }
}
total_of() { # total_of TOPIC : how many records there are, summed over the partitions
    tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$1" | awk -F: '{n += $3} END {print n + 0}'
}

. "$here/cases.sh"

case ${1:-} in
'') mapfile -t cases < <(grep -v '^#' "$here/allow_list.txt") ;;
--all) mapfile -t cases < <(declare -F | awk '$3 ~ /^case_/ {print substr($3, 6)}') ;;
*) cases=("$@") ;;
esac

failures=0
for name in "${cases[@]}"; do
    started=$SECONDS
    topic="java-${name//_/-}-$RANDOM"
    if (set -e; cd "$scratch"; "case_$name") >"$scratch/output" 2>&1; then
        echo "ok      $name  $((SECONDS - started)) s"
    else
        echo "FAILED  $name"
        sed 's/^/        /' "$scratch/output" | cut -c1-400 | tail -40
        failures=$((failures + 1))
    fi
done
echo "$((${#cases[@]} - failures)) of ${#cases[@]} passed"
exit $((failures > 0))
