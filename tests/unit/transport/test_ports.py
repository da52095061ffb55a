"""A reserved port stays ours, and a taken one is said to be taken in one line."""

import socket

import pytest

from model.errors import ConfigError
from transport.ports import listen_socket, port_of, reserve

HOST = "127.0.0.1"


def connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=2)


def test_while_nobody_listens_on_a_reserved_port_connections_are_refused():
    with reserve(HOST, 0) as reserved, pytest.raises(ConnectionRefusedError):
        connect(port_of(reserved))


def test_a_broker_may_listen_again_and_again_on_the_port_its_parent_reserved():
    with reserve(HOST, 0) as reserved:
        for _ in range(2):
            with listen_socket(HOST, port_of(reserved)), connect(port_of(reserved)) as client:
                assert client.getpeername()[1] == port_of(reserved)


def test_a_cluster_can_start_again_on_a_port_whose_connections_the_server_closed():
    with reserve(HOST, 0) as reserved:
        port = port_of(reserved)
        listener = listen_socket(HOST, port)
        listener.setblocking(True)
        client = connect(port)
        accepted, _ = listener.accept()
        accepted.close()  # the active close: its end stays in TIME_WAIT
        client.recv(1)
        client.close()
        listener.close()
    with reserve(HOST, port) as again:
        assert port_of(again) == port


def test_a_port_where_another_program_listens_is_refused():
    with socket.create_server((HOST, 0)) as other, pytest.raises(ConfigError) as refusal:
        reserve(HOST, other.getsockname()[1])
    assert "in use" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_port_where_another_cluster_listens_or_waits_is_refused():
    with reserve(HOST, 0) as reserved:
        with pytest.raises(ConfigError):
            reserve(HOST, port_of(reserved))
        with listen_socket(HOST, port_of(reserved)), pytest.raises(ConfigError):
            reserve(HOST, port_of(reserved))


@pytest.mark.parametrize(("host", "port"), [(HOST, 65_536), (HOST, -1), ("192.0.2.1", 0), ("no such host", 0)])
def test_addresses_that_cannot_be_bound_are_refused_in_one_line(host, port):
    with pytest.raises(ConfigError) as refusal:
        reserve(host, port)
    assert "\n" not in str(refusal.value)
