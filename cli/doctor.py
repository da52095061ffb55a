"""doctor: what answers on an address, and why a client can't connect, in plain words."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Json, Sets, pairs
from cli.output import document

if TYPE_CHECKING:
    from clients.addresses import Address

_WAIT_S = 3.0
# ApiVersions, version 0, correlation 7, client id "doctor"
_QUESTION = struct.pack(">ihhih6s", 16, 18, 0, 7, 6, b"doctor")
_MARKS = {True: "ok  ", None: "note", False: "BAD "}
_SHOWN = (0, 1, 3, 11, 22, 68)


class Finding(NamedTuple):
    """One thing looked at. `ok` is None for what is merely worth knowing."""

    ok: bool | None
    what: str
    remedy: str = ""


def doctor(
    address: Annotated[
        str, typer.Argument(metavar="[HOST:PORT]", envvar="ODRADEK_BOOTSTRAP", help="Where clients begin.")
    ] = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> int:
    """Why can't a client connect?

    Looks at a cluster as a client does, step by step; exit code 1 when something is wrong.
    """
    from clients.addresses import parse_bootstrap

    findings: list[Finding] = []
    for each in parse_bootstrap(tuple(entry.strip() for entry in address.split(",") if entry.strip())):
        findings += _look_at(each)
    if not any(finding.ok is False for finding in findings) or len(address.split(",")) > 1:
        findings += _look_inside(address, sets)
    if as_json:
        document([finding._asdict() for finding in findings])
    else:
        for ok, what, remedy in findings:
            print(f"{_MARKS[ok]}  {what}" + (f"\n      → {remedy}" if remedy else ""))
    return 1 if any(finding.ok is False for finding in findings) else 0


def _look_at(address: Address) -> list[Finding]:
    """The door: name, port, and who speaks behind it."""
    if address.is_zmq:
        return [Finding(None, f"{address} is a ZeroMQ gateway: looked at through a client only")]
    found: list[Finding] = []
    try:
        rows = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        what = f"{address.host} can't be resolved: {error.strerror}"
        return [Finding(False, what, "is the name spelled right, and known on this machine?")]
    ips = sorted({str(row[4][0]) for row in rows})
    if ips != [address.host]:
        found.append(Finding(True, f"{address.host} is {', '.join(ips)}"))
    try:
        with socket.create_connection((address.host, address.port), _WAIT_S) as connection:
            found.append(Finding(True, f"port {address.port} accepts connections"))
            connection.settimeout(_WAIT_S)
            connection.sendall(_QUESTION)
            answer = _read(connection)
    except ConnectionRefusedError:
        what = f"port {address.port} is closed: nothing listens there"
        return [*found, Finding(False, what, "start a cluster with `odradek up`, or correct the port")]
    except TimeoutError:
        what = "swallows connections" if not found or "accepts" not in found[-1].what else "does not answer"
        what = f"port {address.port} {what}"
        return [*found, Finding(False, what, "a firewall, a frozen broker, or no Kafka at all")]
    except OSError as error:
        return [*found, Finding(False, f"port {address.port}: {error.strerror}", "is there a route to that machine?")]
    found.append(_who_is_it(answer))
    return found


def _read(connection: socket.socket) -> bytes:
    answer = b""
    while len(answer) < 4 or len(answer) < 4 + min(struct.unpack_from(">i", answer)[0], 1 << 16):
        try:
            part = connection.recv(1 << 16)
        except TimeoutError:
            if answer:
                break
            raise
        except ConnectionResetError:
            break
        if not part:
            break
        answer += part
    return answer


def _who_is_it(answer: bytes) -> Finding:
    if not answer:
        return Finding(
            False, "it closes the connection at the first Kafka request",
            "a TLS listener does so: try -X security.protocol=SSL; else it is no Kafka broker",
        )  # fmt: skip
    if answer[:1] in (b"\x15", b"\x16") and answer[1:2] == b"\x03":
        return Finding(False, "it speaks TLS", "connect with -X security.protocol=SSL, or use its plain port")
    if answer[:5] == b"HTTP/" or answer[:1] == b"<":
        return Finding(False, "it speaks HTTP: this is a web server", "that is not the broker's port")
    if answer[:1] == b"\xff":
        return Finding(False, "it speaks ZeroMQ", "write the address as zmq://HOST:PORT, or use the broker's TCP port")
    if len(answer) < 14 or struct.unpack_from(">i", answer, 4)[0] != 7:
        return Finding(False, f"it speaks something else than Kafka: {answer[:16]!r}", "that is not the broker's port")
    error, count = struct.unpack_from(">hi", answer, 8)
    ranges = {key: (low, high) for key, low, high in struct.iter_unpack(">hhh", answer[14 : 14 + 6 * count])}
    if error or not ranges:
        return Finding(False, f"it speaks Kafka, but answers ApiVersions with error {error}")
    from protocol.api_keys import API_KEYS

    shown = ", ".join(f"{API_KEYS[key].name} {ranges[key][0]}–{ranges[key][1]}" for key in _SHOWN if key in ranges)
    deaf = [API_KEYS[key].name for key in _SHOWN[:4] if key in API_KEYS and not _overlap(ranges.get(key), key)]
    if deaf:
        return Finding(False, f"it speaks Kafka ({shown}), but no version of {', '.join(deaf)} in common with us")
    return Finding(True, f"it speaks Kafka, {len(ranges)} APIs: {shown}")


def _overlap(theirs: tuple[int, int] | None, key: int) -> bool:
    from protocol.api_keys import API_KEYS

    ours = API_KEYS[key]
    return theirs is not None and theirs[0] <= ours.max_version and theirs[1] >= ours.min_version


def _look_inside(address: str, sets: list[str]) -> list[Finding]:
    """What a client is told: brokers, controller, leaders."""
    from clients.admin import Admin
    from model.errors import KafkaError

    config: dict[str, object] = {"bootstrap.servers": address, "default.api.timeout.ms": 5_000, **pairs(sets, "-X")}
    try:
        with Admin(config) as admin:
            cluster = admin.describe_cluster()
            topics = admin.describe_topics()
    except KafkaError as error:
        return [
            Finding(False, f"it does not say what it holds: {error}",
                    "if it wants a login: -X security.protocol=SASL_PLAINTEXT -X sasl.username=… -X sasl.password=…")
        ]  # fmt: skip
    found = [Finding(True, f"cluster {cluster.cluster_id or '?'}, {len(cluster.brokers)} brokers")]
    for broker in cluster.brokers:
        found.append(_advertised(broker.id, broker.host, broker.port))
    if cluster.controller_id not in {broker.id for broker in cluster.brokers}:
        found.append(Finding(False, "there is no controller: topics can't be made or changed, leaders not elected"))
    partitions = [(topic.name, row) for topic in topics.values() for row in topic.partitions]
    leaderless = [f"{name}-{row.partition}" for name, row in partitions if row.leader < 0]
    behind = [f"{name}-{row.partition}" for name, row in partitions if set(row.isr) < set(row.replicas)]
    if leaderless:
        what = f"{len(leaderless)} partitions have no leader: {_some(leaderless)}"
        found.append(Finding(False, what, "start the brokers that hold them"))
    if behind:
        found.append(Finding(None, f"{len(behind)} partitions lack in-sync replicas: {_some(behind)}"))
    if not leaderless and not behind:
        found.append(Finding(True, f"{len(topics)} topics, {len(partitions)} partitions, all led and in sync"))
    return found


def _advertised(broker_id: int, host: str, port: int) -> Finding:
    """Clients are sent to this address, whatever address they began with: the classic trap."""
    if host.startswith("ipc://") or port <= 0:
        return Finding(None, f"broker {broker_id} is at {host}")
    try:
        socket.create_connection((host, port), _WAIT_S).close()
    except OSError as error:
        return Finding(
            False, f"broker {broker_id} sends clients to {host}:{port}, which fails: {error.strerror or error}",
            "its advertised address must be reachable from here (advertised.listeners; `odradek up --host`)",
        )  # fmt: skip
    return Finding(True, f"broker {broker_id} is reached at {host}:{port}")


def _some(names: list[str]) -> str:
    return " ".join(names[:5]) + (" …" if len(names) > 5 else "")
