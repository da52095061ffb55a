"""Options that commands share, and the clients made from them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Failed, Mistake

if TYPE_CHECKING:
    from clients.admin import Admin
    from model.ids import TopicPartition

DEFAULT_BOOTSTRAP = "localhost:9092"
NOTHING: list[str] = []  # for options that may be repeated
_CONNECT_S = 2.0

Bootstrap = Annotated[
    str,
    typer.Option(
        "--bootstrap", "-b", metavar="HOST:PORT", envvar="ODRADEK_BOOTSTRAP", help="Where the cluster is; zmq:// too."
    ),
]
Sets = Annotated[
    list[str],
    typer.Option(
        "-X", metavar="KEY=VALUE", help="A client config, e.g. security.protocol=SSL; repeatable."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", envvar="ODRADEK_DATA_DIR", help="The cluster's folder, as given to `up`.")
]


def pairs(settings: list[str], option: str) -> dict[str, str]:
    """KEY=VALUE, repeated. Raises Mistake."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise Mistake(f"{option} {setting}: write it as {option} key=value")
        found[name.strip()] = value
    return found


def client_config(bootstrap: str, sets: list[str]) -> dict[str, object]:
    """Configs for a client that gives up while a person still watches. Raises Failed when nobody is there at all."""
    given: dict[str, object] = {
        "bootstrap.servers": bootstrap,
        "client.id": "odradek-cli",
        "socket.connection.setup.timeout.ms": 5_000,
    }
    given.update(pairs(sets, "-X"))
    _check_somebody_answers(str(given["bootstrap.servers"]))
    return given


@contextlib.contextmanager
def admin_of(bootstrap: str, sets: list[str]) -> Iterator[Admin]:
    from clients.admin import Admin

    with Admin({"default.api.timeout.ms": 10_000, **client_config(bootstrap, sets)}) as admin:
        yield admin


def _check_somebody_answers(bootstrap: str) -> None:
    """A client would try for long; a person wants to know at once that the port is closed."""
    from clients.addresses import parse_bootstrap

    addresses = parse_bootstrap(tuple(entry.strip() for entry in bootstrap.split(",") if entry.strip()))
    refusals = []
    for address in addresses:
        if address.is_zmq:
            return
        try:
            socket.create_connection((address.host, address.port), _CONNECT_S).close()
            return
        except OSError as error:
            refusals.append(f"{address}: {(error.strerror or str(error)).lower()}")
    raise Failed(
        f"nothing answers on {'; '.join(refusals)}",
        f"start a cluster with `odradek up`, or look closer with `odradek doctor {addresses[0]}`",
    )


def place(text: str) -> TopicPartition:
    """A partition as people write it: orders-0 or orders:0. Raises Mistake."""
    from model.ids import TopicPartition

    for separator in (":", "-"):
        topic, found, number = text.rpartition(separator)
        if found and topic and number.isdecimal():
            return TopicPartition(topic, int(number))
    raise Mistake(f"{text} is no partition: write it as orders:0")


def timestamp_ms(text: str) -> int:
    """Milliseconds since 1970: as such, or an ISO date and time (local unless it says otherwise). Raises Mistake."""
    if text.isdecimal():
        return int(text)
    import datetime

    try:
        return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise Mistake(f"{text} is no time: write milliseconds, or 2026-01-31T12:00:00") from None


