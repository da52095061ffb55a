"""Our clients' TLS and SASL against a real Apache Kafka with a listener of each kind.

Needs `java`, Kafka's jars (benchmarks/kafka_peer.py fetches them) and `openssl`, which makes the certificates.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka_peer import KafkaPeer, _free_ports, tool_command

from clients.errors import CertificateRefused
from model.coordinator_errors import IllegalSaslState, SaslAuthenticationFailed, UnsupportedSaslMechanism
from odradek import Admin, Consumer, NewTopic, Producer, TopicPartition, wait_until

pytestmark = [
    pytest.mark.java,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not shutil.which("java") or not shutil.which("openssl"), reason="needs java and openssl"),
]

LONGER_THAN_A_TEST_MS = 3_600_000
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
LISTENERS = {"PLAINTEXT": "PLAINTEXT", "LOGIN": "SASL_PLAINTEXT", "TLS": "SSL", "MUTUAL": "SSL", "BOTH": "SASL_SSL"}
_JAAS = "org.apache.kafka.common.security"


def make_certificates(folder: Path) -> None:
    """ca.pem signs broker.pem (for 127.0.0.1) and ours.pem; other.pem is another authority's."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    def new_key(name: str, subject: str, *more: str) -> None:
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={subject}", *more)

    for authority in ("ca", "other"):
        new_key(authority, f"{authority} of the tests", "-x509", "-days", "2", "-out", f"{authority}.pem")
    (folder / "names.txt").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", "ours"):
        new_key(name, name, "-out", f"{name}.csr")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-out", f"{name}.pem", "-extfile", "names.txt",
        )  # fmt: skip
    both = (folder / "broker.key").read_text() + (folder / "broker.pem").read_text()
    (folder / "broker.store").write_text(both)


class SecuredPeer(KafkaPeer):
    """`where` has the address of each listener."""

    def __init__(self, certificates: Path) -> None:
        self.where: dict[str, str] = {}
        self._certificates = certificates
        super().__init__(1)

    def _format(self) -> None:
        control = f"CONTROLLER://127.0.0.1:{self._ports[1]}"
        ports = [self._ports[0], *_free_ports(len(LISTENERS) - 1)]
        self.where = {name: f"127.0.0.1:{port}" for name, port in zip(LISTENERS, ports, strict=True)}
        served = ",".join(f"{name}://{address}" for name, address in self.where.items())
        kinds = {**LISTENERS, "CONTROLLER": "PLAINTEXT"}
        login = {"plain.sasl.jaas.config": f'{_JAAS}.plain.PlainLoginModule required user_ann="secret";'}
        for mechanism in SCRAM:
            login[f"{mechanism.lower()}.sasl.jaas.config"] = f"{_JAAS}.scram.ScramLoginModule required;"
        self.configs = {
            "listeners": f"{served},{control}",
            "advertised.listeners": served,
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in kinds.items()),
            "sasl.enabled.mechanisms": ",".join(("PLAIN", *SCRAM)),
            **{f"listener.name.{door}.{name}": value for door in ("login", "both") for name, value in login.items()},
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._certificates / "broker.store"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._certificates / "ca.pem"),
            "listener.name.mutual.ssl.client.auth": "required",
        }
        super()._format()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def kafka(certificates: Path) -> Iterator[SecuredPeer]:
    with SecuredPeer(certificates) as peer:
        with Admin({"bootstrap.servers": peer.where["PLAINTEXT"]}) as admin:
            wait_until(lambda: admin.describe_cluster().brokers, timeout_s=60, what="Kafka to answer")
            admin.create_topics([NewTopic("locked", 1, 1)])
        for mechanism in SCRAM:  # Kafka takes one at a time
            tool = tool_command(
                "kafka.admin.ConfigCommand", "--bootstrap-server", peer.where["PLAINTEXT"], "--alter", "--add-config",
                f"{mechanism}=[password=secret]", "--entity-type", "users", "--entity-name", "ann",
            )  # fmt: skip
            subprocess.run(tool, check=True, capture_output=True, timeout=120)
        yield peer


def ways_in(certificates: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Name → listener and configs."""
    tls = {"ssl.ca.location": str(certificates / "ca.pem")}
    own = {
        "ssl.certificate.location": str(certificates / "ours.pem"), "ssl.key.location": str(certificates / "ours.key"),
    }  # fmt: skip
    found: dict[str, tuple[str, dict[str, str]]] = {
        "TLS": ("TLS", {"security.protocol": "SSL", **tls}),
        "mutual TLS": ("MUTUAL", {"security.protocol": "SSL", **tls, **own}),
    }
    for mechanism in ("PLAIN", *SCRAM):
        login = {"sasl.mechanism": mechanism, "sasl.username": "ann", "sasl.password": "secret"}
        found[mechanism] = ("LOGIN", {"security.protocol": "SASL_PLAINTEXT", **login})
        found[f"{mechanism} over TLS"] = ("BOTH", {"security.protocol": "SASL_SSL", **login, **tls})
    return found


WAYS = ("TLS", "mutual TLS", *(f"{name}{over}" for name in ("PLAIN", *SCRAM) for over in ("", " over TLS")))


def round_trip(where: str, configs: dict[str, Any]) -> None:
    value = str(time.time_ns()).encode() * 1_000  # several TLS records
    with Producer({"bootstrap.servers": where, "max.block.ms": 30_000, **configs}) as producer:
        offset = producer.send("locked", value).result(30).offset
    with Consumer({"bootstrap.servers": where, **configs}) as consumer:
        consumer.assign([TopicPartition("locked", 0)])
        consumer.seek(TopicPartition("locked", 0), offset)
        assert [record.value for record in consumer.poll(30_000)] == [value]


@pytest.mark.parametrize("way", WAYS)
def test_a_round_trip(kafka: SecuredPeer, certificates: Path, way: str) -> None:
    listener, configs = ways_in(certificates)[way]
    round_trip(kafka.where[listener], configs)


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAM])
def test_a_wrong_password_is_said_at_once(kafka: SecuredPeer, mechanism: str) -> None:
    configs: dict[str, Any] = {
        "bootstrap.servers": kafka.where["LOGIN"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
        "sasl.username": "ann", "sasl.password": "wrong", "default.api.timeout.ms": LONGER_THAN_A_TEST_MS,
    }  # fmt: skip
    with Producer(configs, max_block_ms=LONGER_THAN_A_TEST_MS) as producer, pytest.raises(SaslAuthenticationFailed):
        producer.send("locked", b"x")
    with Consumer(configs) as consumer:
        consumer.assign([TopicPartition("locked", 0)])
        with pytest.raises(SaslAuthenticationFailed):
            consumer.poll(LONGER_THAN_A_TEST_MS)
    with Admin(configs) as admin, pytest.raises(SaslAuthenticationFailed):
        admin.list_topics()


def test_a_listener_without_login_refuses_one(kafka: SecuredPeer, certificates: Path) -> None:
    configs = {
        "bootstrap.servers": kafka.where["TLS"], "security.protocol": "SASL_SSL", "sasl.username": "ann",
        "ssl.ca.location": str(certificates / "ca.pem"), "sasl.password": "secret",
    }  # fmt: skip
    with Producer(configs) as producer, pytest.raises((IllegalSaslState, UnsupportedSaslMechanism)):
        producer.send("locked", b"x")


def test_a_certificate_of_another_authority_is_refused(kafka: SecuredPeer, certificates: Path) -> None:
    configs = {
        "bootstrap.servers": kafka.where["TLS"], "security.protocol": "SSL",
        "ssl.ca.location": str(certificates / "other.pem"),
    }  # fmt: skip
    with Producer(configs) as producer, pytest.raises(CertificateRefused, match=r"ssl\.ca\.location"):
        producer.send("locked", b"x")


def test_a_certificate_for_another_host_is_refused_unless_names_do_not_matter(
    kafka: SecuredPeer, certificates: Path
) -> None:
    port = kafka.where["TLS"].rpartition(":")[2]
    configs = {
        "bootstrap.servers": f"localhost:{port}", "security.protocol": "SSL",
        "ssl.ca.location": str(certificates / "ca.pem"),
    }  # fmt: skip
    with Admin(configs) as admin, pytest.raises(CertificateRefused, match="localhost"):
        admin.list_topics()
    with Admin({**configs, "ssl.endpoint.identification.algorithm": "none"}) as admin:
        assert "locked" in admin.list_topics()
