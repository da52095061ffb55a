"""The `odradek` command against a live cluster."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from transcripts import odradek, replay, run_line

from odradek import Cluster, NewTopic, Producer
from testing.processes import free_ports

pytestmark = pytest.mark.compat
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """Nobody else's topics in there."""
    with Cluster(brokers=3) as running:
        yield running


@pytest.fixture(autouse=True)
def address(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    first = own.bootstrap.split(",")[0]
    monkeypatch.setenv("ODRADEK_BOOTSTRAP", first)
    monkeypatch.chdir(ROOT)
    return first


def test_every_command_says_what_the_transcript_says(own: Cluster) -> None:
    cluster_id = own.state()["cluster_id"]
    ports = [str(own.port + n) for n in range(3)]

    def plain(text: str) -> str:
        for number, port in enumerate(ports, start=1):
            text = text.replace(port, f"909{number}".ljust(len(port)))
        text = text.replace("  \n", "\n").replace(cluster_id, "CLUSTER-ID")
        text = re.sub(r'"timestamp": \d+', '"timestamp": 0', text)
        text = re.sub(r"^controller( +)\d", r"controller\1N", text, flags=re.MULTILINE)
        text = re.sub(r"^(coordinator +)\d", r"\1N", re.sub(r'"coordinator": \d', '"coordinator": 0', text), flags=re.M)
        return re.sub(r"speaks Kafka, \d+ APIs: .*", "speaks Kafka, N APIs: …", text)

    replay("cli.txt", plain)


def test_help_is_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ODRADEK_BOOTSTRAP")
    replay("cli_help.txt", lambda text: text)


def test_the_commands_of_the_docs_work() -> None:
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL))
    commands = re.findall(r"^\$ (.*)$", blocks, re.MULTILINE)
    assert len(commands) > 20
    with Cluster(brokers=3) as here, Cluster(brokers=1, in_process=True) as other:
        os.environ["ODRADEK_BOOTSTRAP"] = here.bootstrap  # the autouse fixture puts it back
        for command in commands:
            code, out, err = run_line(command.replace("OTHER:9092", other.bootstrap))
            assert code == 0, f"$ {command}\n{out}{err}"
        assert other.admin.list_topics() == ["orders"]


def test_the_commands_of_the_docs_that_start_and_stop_a_cluster_work() -> None:
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    foreground, detached, down = re.findall(r"^    odradek (.*)$", page, re.MULTILINE)
    (dump,) = re.findall(r"`odradek (log dump [^`]*)`", page)
    port = free_ports(3)
    command = [sys.executable, str(ROOT / "odradek.py")]
    with tempfile.TemporaryDirectory(prefix="d-") as folder:  # a short path, and nobody else's clusters in it
        environment = {**os.environ, "TMPDIR": folder}
        words = foreground.replace("9092", str(port)).split()
        with subprocess.Popen(
            [*command, *words], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None
            line = next(line for line in running.stdout if line.startswith("ready "))
            assert f"127.0.0.1:{port}" in line
            assert odradek("topic", "create", "orders", "-r", "3", "-b", f"127.0.0.1:{port}")[0] == 0
            assert odradek("produce", "orders", "x", "-b", f"127.0.0.1:{port}")[0] == 0
            files = sorted(Path(folder).glob(dump.split()[2]))
            code, out, err = odradek(*dump.split()[:2], *map(str, files), *dump.split()[3:])
            assert (code, err) == (0, "") and out.rstrip().endswith("x"), out
            running.send_signal(signal.SIGINT)
        assert running.returncode == 0
        run = functools.partial(subprocess.run, cwd=folder, env=environment, capture_output=True, text=True)
        started = run([*command, *detached.split(), "--port", str(port)])
        assert json.loads(started.stdout)["bootstrap"].startswith(f"127.0.0.1:{port}"), started
        stopped = run([*command, *down.split()])
        assert (stopped.returncode, stopped.stdout[:8]) == (0, "stopped "), stopped


def test_the_command_speaks_zeromq_too(own: Cluster) -> None:
    own.admin.create_topics([NewTopic("over-zmq", 1, 3)])
    gateway = f"zmq://{own.data_dir}"
    assert odradek("produce", "over-zmq", "x", "-b", gateway)[0] == 0
    assert odradek("consume", "over-zmq", "-b", gateway) == (0, "x\n", "")
    assert odradek("doctor", gateway)[0] == 0


def test_consume_follows_until_it_has_enough(own: Cluster, address: str) -> None:
    own.admin.create_topics([NewTopic("followed", 1, 1)])
    command = [sys.executable, "odradek.py", "consume", "followed", "--follow", "-n", "2", "-b", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as reader:
        assert reader.stdout is not None
        with Producer({"bootstrap.servers": address}) as producer:
            producer.send("followed", b"one").result()
            assert reader.stdout.readline() == "one\n"
            producer.send("followed", b"two").result()
        assert reader.stdout.readline() == "two\n"
        assert reader.wait(20) == 0


def test_a_closed_pipe_is_no_error(own: Cluster, address: str) -> None:
    own.admin.create_topics([NewTopic("piped", 1, 1)])
    with Producer({"bootstrap.servers": address}) as producer:
        producer.send_many("piped", [b"x" * 100] * 5_000)
    command = f"{sys.executable} odradek.py consume piped -b {address} | head -1; echo ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert (run.stdout.split(), run.stderr) == (["x" * 100, "0"], "")


def test_offsets_by_time(own: Cluster, address: str) -> None:
    own.admin.create_topics([NewTopic("timed", 1, 1)])
    with Producer({"bootstrap.servers": address}) as producer:
        for when in (1_000, 2_000, 3_000):
            producer.send("timed", str(when).encode(), timestamp_ms=when)
    assert odradek("consume", "timed", "-o", "@2000") == (0, "2000\n3000\n", "")
    assert odradek("consume", "timed", "-o", "@1970-01-01T00:00:03+00:00") == (0, "3000\n", "")
    assert odradek("consume", "timed", "-o", "@yesterday")[0] == 2


def test_an_open_transaction_is_seen_and_aborted(own: Cluster, address: str) -> None:
    own.admin.create_topics([NewTopic("paid", 1, 3)])
    with Producer({"bootstrap.servers": address, "transactional.id": "payer"}) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send("paid", b"never").result()
        code, out, _ = odradek("txn", "list", "--json")
        assert code == 0 and {row["transactional_id"]: row["state"] for row in json.loads(out)}["payer"] == "Ongoing"
        code, out, _ = odradek("txn", "describe", "payer", "--json")
        assert code == 0 and json.loads(out)["partitions"] == ["paid-0"]
        assert odradek("txn", "abort", "payer") == (0, "aborted payer\n", "")
        assert odradek("consume", "paid", "--committed") == (0, "", "")


def test_log_dump_reads_every_file_of_a_partition(own: Cluster, address: str) -> None:
    own.admin.create_topics([NewTopic("dumped", 1, 1)])
    with Producer({"bootstrap.servers": address}) as producer:
        producer.send("dumped", b"value", key=b"key", headers=[("h", b"1")]).result()
    folder = own.data_dir / f"broker-{own.leader('dumped')}" / "dumped-0"
    log = folder / "00000000000000000000.log"
    code, out, err = odradek("log", "dump", str(log), "--records", "--json")
    (batch,) = map(json.loads, out.splitlines())
    assert (code, err, batch["base_offset"], batch["record_count"]) == (0, "", 0, 1)
    assert batch["records"][0]["value"] == "value" and batch["records"][0]["headers"] == {"h": "1"}
    table = odradek("log", "dump", str(log), "-r")[1]
    assert table.startswith("OFFSETS") and "key\tvalue" in table
    for file in folder.iterdir():
        if file.suffix in (".index", ".timeindex", ".txnindex", ".snapshot") or file.name.endswith("-checkpoint"):
            assert odradek("log", "dump", str(file))[0] == 0, file


def test_log_dump_says_where_a_log_is_damaged(own: Cluster, address: str, tmp_path: Path) -> None:
    own.admin.create_topics([NewTopic("torn", 1, 1)])
    with Producer({"bootstrap.servers": address}) as producer:
        for _ in range(2):
            producer.send("torn", b"value").result()
    log = own.data_dir / f"broker-{own.leader('torn')}" / "torn-0" / "00000000000000000000.log"
    copy = tmp_path / log.name
    copy.write_bytes(log.read_bytes()[:-3])
    code, out, err = odradek("log", "dump", str(copy))
    assert code == 1 and len(out.splitlines()) == 2
    assert re.search(r"damaged at byte \d+ of \d+", err) and err.count("\n") == 1


def test_mirror_takes_topics_records_and_groups_along(own: Cluster, address: str) -> None:
    own.admin.create_topics([NewTopic("moved", 2, 3, {"retention.ms": "-1"})])
    with Producer({"bootstrap.servers": address}) as producer:
        for number in range(10):
            producer.send("moved", str(number).encode(), key=b"k", partition=number % 2, headers=[("n", b"1")])
        producer.flush()
        own.admin.delete_records({("moved", 0): 2})  # from here on offsets differ
    assert odradek("consume", "moved", "-g", "movers", "-n", "5")[0] == 0
    with Cluster(brokers=1, in_process=True) as other:
        code, out, err = odradek("mirror", "--to", other.bootstrap, "--topic", "moved", "--groups", "--json")
        assert code == 0, err
        assert json.loads(out)["topics"] == [{"name": "moved", "partitions": 2, "records": 8}]
        assert "gets 1 replicas instead of 3" in err
        assert other.admin.describe_topic_configs("moved")["retention.ms"].value == "-1"
        both = (address, other.bootstrap)
        for partition in ("0", "1"):
            read = ("consume", "moved", "-p", partition, "-f", "%p %k %v %h %T\\n", "-b")
            here, there = (odradek(*read, at) for at in both)
            assert here == there and here[0] == 0
        # what the group has not read yet is the same on both sides
        rest = [sorted(odradek("consume", "moved", "-g", "movers", "-b", at)[1].split()) for at in both]
        assert rest[0] == rest[1] and len(rest[0]) == 3
        again = odradek("mirror", "--to", other.bootstrap, "--topic", "moved")
        assert again[0] == 1 and "--append" in again[2]
    assert odradek("mirror", "--to", own.bootstrap.split(",")[1])[0] == 1  # the same cluster


def test_doctor_tells_strangers_apart(own: Cluster) -> None:
    import socket
    import threading

    def answering(reply: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with server, server.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    for reply, words in (
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS"),
        (b"\xff\0\0\0\0\0\0\0\1\x7f", "speaks ZeroMQ"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "something else than Kafka"),
        (b"", "closes the connection"),
    ):
        code, out, _ = odradek("doctor", answering(reply))
        assert code == 1 and words in out, out


def test_status_fails_while_a_replica_is_missing() -> None:
    with Cluster(brokers=2, options=["--no-restart"]) as cluster:
        cluster.admin.create_topics([NewTopic("t", 1, 2)])
        cluster.wait_isr("t")
        first = cluster.bootstrap.split(",")[cluster.leader("t") - 1]
        assert odradek("status", "-b", first)[0] == 0
        cluster.kill(3 - cluster.leader("t"))
        cluster.wait_isr("t", brokers=1)
        code, out, _ = odradek("status", "-b", first, "--json")
        assert code == 1 and json.loads(out)["under_replicated"] == ["t-0"]


def test_up_and_down(tmp_path: Path) -> None:
    port = free_ports(1)
    command = [sys.executable, str(ROOT / "odradek.py")]
    up = [*command, "up", "--detach", "--brokers", "1", "--port", str(port), "--data-dir", str(tmp_path / "data")]
    run = subprocess.run(up, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and run.stdout.startswith(f"ready bootstrap=127.0.0.1:{port}"), run
    down = [*command, "down", "--data-dir", str(tmp_path / "data")]
    run = subprocess.run(down, capture_output=True, text=True, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, f"stopped 127.0.0.1:{port}\n"), run
    run = subprocess.run(down, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1 and "is not running" in run.stderr
    run = subprocess.run([*up, "--json"], capture_output=True, text=True, cwd=tmp_path)
    said = json.loads(run.stdout)
    assert (said["bootstrap"], said["data_dir"]) == (f"127.0.0.1:{port}", str(tmp_path / "data")), run
    run = subprocess.run([*down, "--json"], capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(run.stdout)["supervisor_pid"] == said["supervisor_pid"]
    run = subprocess.run([*command, "up", "--json"], capture_output=True, text=True)
    assert run.returncode == 2 and "--json needs --detach" in run.stderr
    run = subprocess.run([*command, "up", "--brokers", "0"], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.startswith("odradek up: ") and run.stderr.count("\n") == 1


def test_help_comes_at_once() -> None:
    quickest = 1.0
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "odradek.py", "--help"], check=True, capture_output=True, cwd=ROOT)
        quickest = min(quickest, time.perf_counter() - began)
    # 80 ms on a quiet machine; what matters is that no client is imported for it
    assert quickest < 0.5
    heavy = "import sys, cli.main; print({'rich', 'asyncio', 'aiokafka', 'zmq', 'clients'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, env=environment)
    assert run.stdout == "set()\n", run
