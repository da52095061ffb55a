"""From a client's frame to its handler and back.

Handlers live in `kNN_name.py` and are imported when first asked for. A handler is a function
`handle(context, request)` that returns a response, None (no answer), or an awaitable of either, the quickest of which
is a `Pending`. It starts in arrival order; what it returns leaves in arrival order.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from model.errors import ErrorCode, InvalidRequest, KafkaError
from protocol.api_keys import API_KEYS
from protocol.frames import RequestHeader, parse_request_header, response_header
from transport.pending import Pending

if TYPE_CHECKING:
    from actors.broker import Broker
    from actors.request_faults import RequestFaults
    from transport.client_connection import Answer, Buffer, ClientConnection

logger = logging.getLogger(__name__)

HANDLERS: dict[int, str] = {
    0: "k00_produce",
    1: "k01_fetch",
    2: "k02_list_offsets",
    3: "k03_metadata",
    8: "k08_offset_commit",
    9: "k09_offset_fetch",
    10: "k10_find_coordinator",
    11: "k11_join_group",
    12: "k12_heartbeat",
    13: "k13_leave_group",
    14: "k14_sync_group",
    15: "k15_describe_groups",
    16: "k16_list_groups",
    18: "k18_api_versions",
    19: "k19_create_topics",
    20: "k20_delete_topics",
    21: "k21_delete_records",
    22: "k22_init_producer_id",
    23: "k23_offset_for_leader_epoch",
    24: "k24_add_partitions_to_txn",
    25: "k25_add_offsets_to_txn",
    26: "k26_end_txn",
    27: "k27_write_txn_markers",
    28: "k28_txn_offset_commit",
    32: "k32_describe_configs",
    33: "k33_alter_configs",
    35: "k35_describe_log_dirs",
    37: "k37_create_partitions",
    42: "k42_delete_groups",
    43: "k43_elect_leaders",
    44: "k44_incremental_alter_configs",
    45: "k45_alter_partition_reassignments",
    46: "k46_list_partition_reassignments",
    47: "k47_offset_delete",
    55: "k55_describe_quorum",
    60: "k60_describe_cluster",
    61: "k61_describe_producers",
    65: "k65_describe_transactions",
    66: "k66_list_transactions",
    68: "k68_consumer_group_heartbeat",
    69: "k69_consumer_group_describe",
    74: "k74_list_config_resources",
    75: "k75_describe_topic_partitions",
}
"""Key → module, in order: ApiVersions and docs/api_keys.md follow from it."""

API_VERSIONS = 18

Handler = Callable[["RequestContext", Any], Any]


@dataclass(slots=True)
class RequestContext:
    """What a handler knows of a request beside its body."""

    broker: Broker
    connection: ClientConnection
    header: RequestHeader

    @property
    def api_version(self) -> int:
        """The version the request came in and the response goes out."""
        return self.header.api_version

    def answer_aside(self, answer: asyncio.Future[Any]) -> None:
        """Let the response leave when it is there, out of order: for a handler that returns None."""
        answer.add_done_callback(lambda done: self.connection.answer_aside(encode(self.header, done.result())))


def encode(header: RequestHeader, response: Any) -> list[Buffer]:
    """A response's chunks, without the length prefix."""
    head = response_header(header.api_key, header.api_version, header.correlation_id)
    return [head, *response.encode_chunks(header.api_version)]


def _encode_later(header: RequestHeader, response: Any) -> Answer:
    return None if response is None else encode(header, response)


class Dispatcher:
    """Answers frames; one per broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._handlers: dict[int, Handler] = {}
        self.faults: RequestFaults | None = None  # chaos, while there is any

    def __call__(self, connection: ClientConnection, frame: memoryview) -> Answer | Awaitable[Answer] | Pending[Any]:
        """The response's chunks without the length prefix, None, or an awaitable of either.

        Raises KafkaError or MalformedMessage when the connection must be closed: the header makes no sense, the key is
        unknown, or the version is one that we don't speak (only ApiVersions has an answer to that).
        """
        header = parse_request_header(frame)
        connection.client_id = header.client_id
        if connection.before_next:
            waiting, connection.before_next = connection.before_next, []
            for callback in waiting:
                callback(header.api_key)
        key, version = header.api_key, header.api_version
        api = API_KEYS.get(key)
        if api is None or key not in HANDLERS:
            raise InvalidRequest(f"API key {key} is not served")
        if not api.serves(version):
            if key != API_VERSIONS:
                raise InvalidRequest(f"{api.name} version {version} is not served")
            return self._unsupported_api_versions(header)
        request = api.request.decode(frame, version, header.body_offset)
        handler = self._handlers.get(key) or self._load(key)
        context = RequestContext(self.broker, connection, header)
        answer = handler(context, request) if self.faults is None else self.faults.serve(context, request, handler)
        if answer is None:
            return None
        if type(answer) is Pending:
            answer.shape = partial(_encode_later, header)
            return answer
        if hasattr(answer, "encode_chunks"):
            return encode(header, answer)
        return self._later(header, answer)

    async def _later(self, header: RequestHeader, answer: Awaitable[Any]) -> Answer:
        return _encode_later(header, await answer)

    def _unsupported_api_versions(self, header: RequestHeader) -> Answer:
        """KIP-511: answer in version 0 without decoding the body, whose shape we can't know."""
        from actors.api.k18_api_versions import describe

        response = describe(self.broker, 0)
        response.error_code = ErrorCode.UNSUPPORTED_VERSION
        return [response_header(API_VERSIONS, 0, header.correlation_id), response.encode(0)]

    def _load(self, key: int) -> Handler:
        handler: Handler = importlib.import_module(f"actors.api.{HANDLERS[key]}").handle
        self._handlers[key] = handler
        return handler


__all__ = ["HANDLERS", "Dispatcher", "KafkaError", "RequestContext"]
