"""Where brokers are, in words."""

import json

import pytest

from clients.addresses import Address, parse_bootstrap
from model.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:9092", Address("localhost", 9092)),
        ("tcp://10.0.0.1:9093", Address("10.0.0.1", 9093)),
        ("PLAINTEXT://broker:9092", Address("broker", 9092)),
        ("[::1]:9092", Address("::1", 9092)),
        ("zmq://localhost:19092", Address("localhost", 19092, True)),
        ("zmq:///run/odradek/1.k", Address("ipc:///run/odradek/1.k", 0, True)),
        ("zmq://ipc:///run/odradek/1.k", Address("ipc:///run/odradek/1.k", 0, True)),
    ],
)
def test_an_address(text, address):
    assert parse_bootstrap((text,)) == [address]


def test_zeromq_endpoints():
    assert Address("ipc:///run/1.k", 0, True).endpoint == "ipc:///run/1.k"
    assert Address("::1", 9092, True).endpoint == "tcp://[::1]:9092"
    assert Address("h", 9092, True).endpoint == "tcp://h:9092"


def test_a_data_directory_names_the_gateways_of_its_cluster(tmp_path):
    rows = [{"zmq_endpoint": "ipc:///run/1.k"}, {"zmq_endpoint": None}, {"zmq_endpoint": "tcp://127.0.0.1:5"}]
    (tmp_path / "cluster.json").write_text(json.dumps({"brokers": rows}))
    assert parse_bootstrap((f"zmq://{tmp_path}",)) == [
        Address("ipc:///run/1.k", 0, True),
        Address("127.0.0.1", 5, True),
    ]


@pytest.mark.parametrize(
    "text", ["localhost", "localhost:", ":9092", "localhost:http", "h:70000", "http://h:1", "zmq://h"]
)
def test_what_is_no_address(text):
    with pytest.raises(ConfigError, match=r"bootstrap\.servers="):
        parse_bootstrap((text,))


def test_tcp_and_zmq_are_not_mixed():
    with pytest.raises(ConfigError, match="mixes"):
        parse_bootstrap(("h:1", "zmq://h:2"))
