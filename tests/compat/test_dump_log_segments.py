"""Kafka's own DumpLogSegments reads every file we write and has nothing to complain about.

Needs `java` and Kafka's jars: in ODRADEK_KAFKA_LIB, by default ~/.cache/kafka-peer/lib-4.3.0.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from log_builders import NOW_MS, a_batch, a_log

from protocol.control_batches import control_batch
from protocol.records import CODECS

LIBRARY = Path(os.environ.get("ODRADEK_KAFKA_LIB", "~/.cache/kafka-peer/lib-4.3.0")).expanduser()

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs java"),
    pytest.mark.skipif(not list(LIBRARY.glob("kafka-tools-*.jar")), reason=f"needs Kafka's jars in {LIBRARY}"),
]

COMPLAINTS = re.compile(
    r"mismatch|invalid|corrupt|not found|could not|exception|error|out of order|isvalid: false", re.I
)


def dump(*files: Path) -> str:
    assert files
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBRARY}/*", "org.apache.kafka.tools.DumpLogSegments"]
    names = ",".join(str(file) for file in files)
    done = subprocess.run(
        [*command, "--deep-iteration", "--print-data-log", "--files", names],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + "\n".join(line for line in done.stderr.splitlines() if "log4j" not in line.lower())
    assert done.returncode == 0, output
    for line in output.splitlines():
        assert not COMPLAINTS.search(line.split(" payload: ")[0]), line
    return output


def test_logs_of_every_codec_with_all_their_indexes(tmp_path):
    log = a_log(tmp_path, segment_bytes=15_000, index_interval_bytes=1_000, topic_id=b"\x07" * 16)
    sequence = 0
    for round_ in range(40):
        for codec in CODECS:
            batch = a_batch(
                7,
                value=bytes([65 + round_ % 26]) * 90,
                timestamp=NOW_MS + 1_000 * round_,
                codec=codec,
                producer_id=5,
                producer_epoch=1,
                base_sequence=sequence,
            )
            sequence += 7
            log.append_as_leader(batch, round_ // 15, NOW_MS + 1_000 * round_)
    log.close()
    assert len(log.segments) >= 3
    directory = log.directory
    assert len(list(directory.glob("*.index"))) == len(list(directory.glob("*.timeindex"))) == len(log.segments)

    output = dump(*sorted(directory.glob("*.log")))
    offsets = [int(found) for found in re.findall(r"^\| offset: (\d+)", output, re.M)]
    assert offsets == list(range(40 * 5 * 7))
    for codec in CODECS:
        assert f"compresscodec: {codec}" in output
    assert output.count("isvalid: true") == 200

    rows = dump(*sorted(directory.glob("*.index")))
    assert len(re.findall(r"^offset: \d+ position: \d+", rows, re.M)) == sum(len(s.offset_index) for s in log.segments)
    rows = dump(*sorted(directory.glob("*.timeindex")))
    assert len(re.findall(r"^timestamp: \d+ offset: \d+", rows, re.M)) == sum(len(s.time_index) for s in log.segments)
    assert "producerId: 5 producerEpoch: 1" in dump(*sorted(directory.glob("*.snapshot")))
    assert (directory / "leader-epoch-checkpoint").read_text() == "0\n3\n0 0\n1 525\n2 1050\n"


def test_transactions_and_append_time(tmp_path):
    log = a_log(tmp_path, message_timestamp_type="LogAppendTime", index_interval_bytes=100)
    for number in range(10):
        how = {"producer_id": 9, "producer_epoch": 0, "base_sequence": 3 * number}
        log.append_as_leader(a_batch(3, transactional=True, **how), 0, NOW_MS + number)
        marker = control_batch(
            is_commit=number % 2 == 0, producer_id=9, producer_epoch=0, coordinator_epoch=4, timestamp=NOW_MS
        )
        log.append_as_leader(marker, 0, NOW_MS + number, from_client=False)
    log.close()
    output = dump(log.directory / f"{0:020d}.log")
    assert output.count("LogAppendTime") >= 20
    assert output.count("endTxnMarker: COMMIT") == output.count("endTxnMarker: ABORT") == 5
    aborted = dump(log.directory / f"{0:020d}.txnindex")
    assert len(re.findall(r"producerId: 9", aborted)) == 5
    for suffix in ("index", "timeindex"):
        dump(log.directory / f"{0:020d}.{suffix}")


def test_a_log_that_was_recovered_and_truncated(tmp_path):
    log = a_log(tmp_path, segment_bytes=20_000, index_interval_bytes=500)
    for number in range(300):
        log.append_as_leader(a_batch(2, timestamp=NOW_MS + (number * 7919) % 1_000), 0, NOW_MS)
    with open(log.active.log_path, "ab") as file:
        file.write(b"torn" * 20)
    again = a_log(tmp_path, was_clean=False, segment_bytes=20_000, index_interval_bytes=500)
    again.truncate_to(480)
    for number in range(300):
        again.append_as_leader(a_batch(2, timestamp=NOW_MS + 2_000 + number), 1, NOW_MS)
    again.close()
    directory = again.directory
    output = dump(*sorted(directory.glob("*.log")))
    assert [int(found) for found in re.findall(r"^\| offset: (\d+)", output, re.M)] == list(range(1_080))
    dump(*sorted(directory.glob("*.index")))
    dump(*sorted(directory.glob("*.timeindex")))
    dump(*sorted(directory.glob("*.snapshot")))
