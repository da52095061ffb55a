"""A client's view of the cluster and its way to every broker: metadata kept fresh, coordinators found, retries.

Everything here runs on the client's loop; `metadata` may be read from any thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from clients.addresses import Address, parse_bootstrap
from clients.backoff import Backoff
from clients.configs import ClientConfig
from clients.connection import Connection
from clients.connections import MAIN, Connections, Lane
from clients.errors import ClientClosed, Disconnected
from clients.metadata import Metadata
from model.errors import ErrorCode, KafkaError, RequestTimedOut, kafka_error
from protocol.codec import Message
from protocol.k03_metadata import MetadataRequest, MetadataRequestTopic

log = logging.getLogger(__name__)

T = TypeVar("T")
_REFUSED: Final = frozenset(
    {ErrorCode.SASL_AUTHENTICATION_FAILED, ErrorCode.UNSUPPORTED_SASL_MECHANISM, ErrorCode.ILLEGAL_SASL_STATE}
)
_LET_IN_AGAIN_S: Final = 1.0  # a client that was refused knocks so often: passwords are changed while it runs
GROUP_KEY: Final = 0
TRANSACTION_KEY: Final = 1
_BATCHED_COORDINATORS: Final = 4
_STALE_COORDINATOR: Final = frozenset(
    {ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NETWORK_EXCEPTION}
)


class ClusterClient:
    """`topics` are those whose leaders are kept known; `follows_all` keeps all of them."""

    def __init__(self, config: ClientConfig, *, may_create_topics: bool = False) -> None:
        self.config = config
        self.bootstrap = parse_bootstrap(config.get_list("bootstrap.servers"))
        self.metadata = Metadata(is_zmq=self.bootstrap[0].is_zmq)
        self.connections = Connections(config)
        self.topics: set[str] = set()
        self.follows_all = False
        self.on_metadata: list[Callable[[], None]] = []
        self.on_refused: list[Callable[[KafkaError], None]] = []
        self.features: dict[str, int] = {}
        self.last_failure = ""
        self._may_create_topics = may_create_topics
        self.loop = asyncio.get_running_loop()
        self._least_s = config.seconds("retry.backoff.ms")  # between two requests for metadata
        self._answered_s = -self._least_s
        self._coordinators: dict[tuple[int, str], int] = {}
        self._next_round: asyncio.Future[None] | None = None
        self._wanted = asyncio.Event()
        self._updater: asyncio.Task[None] | None = None

    def backoff(self) -> Backoff:
        """A fresh one, as `retry.backoff.ms` says."""
        return Backoff(self.config.seconds("retry.backoff.ms"), self.config.seconds("retry.backoff.max.ms"))

    async def close(self) -> None:
        if self._updater is not None:
            self._updater.cancel()
        if self._next_round is not None and not self._next_round.done():
            self._next_round.set_exception(ClientClosed("the client is closed"))
            self._next_round.exception()
        await self.connections.close()

    # -- metadata --------------------------------------------------------------------------------------------------

    def want_refresh(self) -> asyncio.Future[None]:
        """Ask for metadata soon; the future is done when an answer to a request made after now is in.

        It fails when the cluster does not let us in, and it is for `on_refused` to tell those who wait for nothing.
        """
        if self._updater is None:
            self._updater = asyncio.ensure_future(self._keep_fresh())
        if self._next_round is None:
            self._next_round = self.loop.create_future()
            self._wanted.set()
        return self._next_round

    async def refresh(self) -> None:
        await asyncio.shield(self.want_refresh())

    def follow(self, topics: Iterable[str]) -> None:
        """Keep these topics known as well."""
        new = set(topics) - self.topics
        if new:
            self.topics |= new
            self.want_refresh()

    async def know(self, topics: Iterable[str]) -> None:
        """Keep these topics known as well, and wait for an answer that describes them.

        One that is younger than `retry.backoff.ms` will do, since the next has to wait that long. It is asked for all
        the same: `on_metadata` then hears of what has changed in that moment.
        """
        wanted = set(topics)
        self.topics |= wanted
        newer = self.want_refresh()
        is_fresh = self.loop.time() - self._answered_s < self._least_s
        if not is_fresh or not wanted <= self.metadata.topics.keys():
            await asyncio.shield(newer)

    async def _keep_fresh(self) -> None:
        longest_s = self.config.seconds("metadata.max.age.ms")
        while True:
            try:
                async with asyncio.timeout(longest_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(max(0.0, self._answered_s + self._least_s - self.loop.time()))
            self._wanted.clear()
            round_, self._next_round = self._next_round, None
            refusal = await self._ask_for_metadata()
            self._answered_s = self.loop.time()
            if refusal is not None:
                if round_ is not None and not round_.done():
                    round_.set_exception(refusal)
                    round_.exception()  # perhaps nobody waits
                for tell in list(self.on_refused):
                    tell(refusal)
                self.loop.call_later(_LET_IN_AGAIN_S, self.want_refresh)
                continue
            if round_ is not None and not round_.done():
                round_.set_result(None)
            for heard in list(self.on_metadata):
                heard()

    async def _ask_for_metadata(self) -> KafkaError | None:
        """Until somebody answers; what refuses us, when that is all that can be had."""
        backoff = self.backoff()
        while True:
            refusal: KafkaError | None = None
            for address in self._addresses():
                names = None if self.follows_all else sorted(self.topics)
                request = MetadataRequest(
                    topics=None if names is None else [MetadataRequestTopic(name=name) for name in names],
                    allow_auto_topic_creation=self._may_create_topics,
                )
                try:
                    connection = await self.connections.get(address)
                    answer = await connection.request(request)
                except KafkaError as error:
                    self.last_failure = str(error)
                    log.debug("no metadata from %s: %s", address, error)
                    if error.code in _REFUSED:
                        refusal = error
                    continue
                if answer.brokers:
                    self.features = connection.features
                    self.metadata.take(answer, is_full=self.follows_all)
                    return None
            if refusal is not None:
                return refusal
            await asyncio.sleep(backoff.next_s())

    def _addresses(self) -> list[Address]:
        """Whom to ask, the likeliest first; the ones we began with when nobody else is left (KIP-899)."""
        known = sorted(self.metadata.brokers.values(), key=self.connections.load_of)
        return [*known, *(address for address in self.bootstrap if address not in known)]

    # -- requests --------------------------------------------------------------------------------------------------

    async def connection(self, node_id: int, lane: Lane = MAIN) -> Connection:
        """Raises Disconnected when the broker is unknown or can't be reached."""
        address = self.metadata.brokers.get(node_id)
        if address is None:
            raise Disconnected(f"broker {node_id} is not known (any more)")
        return await self.connections.get(address, lane)

    async def ask(self, node_id: int, request: Message, *, lane: Lane = MAIN, timeout_s: float | None = None) -> Any:
        """One request to one broker."""
        connection = await self.connection(node_id, lane)
        return await connection.request(request, timeout_s=timeout_s)

    async def any_node(self) -> int:
        """A broker that is likely to answer."""
        if not self.metadata.brokers:
            await self.refresh()
        brokers = self.metadata.brokers
        return min(brokers, key=lambda node: self.connections.load_of(brokers[node]))

    async def ask_any(self, request: Message, *, timeout_s: float | None = None) -> Any:
        """One request to whoever is there."""
        return await self.ask(await self.any_node(), request, timeout_s=timeout_s)

    async def ask_controller(self, request: Message, *, timeout_s: float | None = None) -> Any:
        """One request to the controller; refreshes the metadata first when it isn't known."""
        if self.metadata.controller_id not in self.metadata.brokers:
            await self.refresh()
        node = self.metadata.controller_id
        if node not in self.metadata.brokers:
            node = await self.any_node()
        return await self.ask(node, request, timeout_s=timeout_s)

    # -- coordinators ----------------------------------------------------------------------------------------------

    async def coordinator(self, kind: int, key: str) -> int:
        """The broker that coordinates a group or transactional id. Raises the KafkaError that says why not."""
        node = self._coordinators.get((kind, key))
        if node is not None and node in self.metadata.brokers:
            return node
        from protocol.k10_find_coordinator import FindCoordinatorRequest

        connection = await self.connection(await self.any_node())
        version = connection.version_of(FindCoordinatorRequest)
        if version >= _BATCHED_COORDINATORS:
            request = FindCoordinatorRequest(key_type=kind, coordinator_keys=[key])
        else:
            request = FindCoordinatorRequest(key_type=kind, key=key)
        answer = await connection.send(request, version)
        found = answer.coordinators[0] if version >= _BATCHED_COORDINATORS else answer
        if found.error_code:
            raise kafka_error(found.error_code, found.error_message or "")
        self.metadata.take_broker(found.node_id, found.host, found.port)
        self._coordinators[kind, key] = int(found.node_id)
        return int(found.node_id)

    def forget_coordinator(self, kind: int, key: str, error: BaseException | None = None) -> None:
        """Look it up again next time; with an error, only when that says that it has moved."""
        if error is None or (isinstance(error, KafkaError) and error.code in _STALE_COORDINATOR):
            self._coordinators.pop((kind, key), None)

    async def ask_coordinator(
        self, kind: int, key: str, request: Message, *, lane: Lane = MAIN, timeout_s: float | None = None
    ) -> Any:
        """One request to a coordinator. The caller looks at the answer's error and says `forget_coordinator`."""
        node = await self.coordinator(kind, key)
        try:
            return await self.ask(node, request, lane=lane, timeout_s=timeout_s)
        except KafkaError as error:
            self.forget_coordinator(kind, key, error)
            raise

    # -- retries ---------------------------------------------------------------------------------------------------

    async def retrying(
        self,
        attempt: Callable[[], Awaitable[T]],
        timeout_s: float,
        what: str,
        *,
        gives_up_on: frozenset[ErrorCode] = frozenset(),
    ) -> T:
        """Repeat while the errors are retriable; metadata is refreshed in between.

        Raises the first other error, or RequestTimedOut with the last one in its words.
        """
        backoff = self.backoff()
        last: KafkaError | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        return await attempt()
                    except KafkaError as error:
                        if not error.code.retriable or error.code in gives_up_on:
                            raise
                        last = error
                    await asyncio.sleep(backoff.next_s())
                    if last.code not in (ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS):
                        await self.refresh()
        except TimeoutError:
            reason = str(last) if last is not None else self.last_failure
            why = f"; {reason}" if reason else ""
            raise RequestTimedOut(f"{what} took longer than {timeout_s:g} s{why}") from last
