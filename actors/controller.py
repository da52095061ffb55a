"""The controller's life: wait for the lease, replay, then feed the machine and perform what it decides.

Every broker runs one of these, in its `ControllerSeat`; the one whose `run_for_lease` has returned is the controller.
It lives on the broker's event loop. The blocking parts (waiting for the lock, fsync) happen in threads; what was
decided while one batch was being written goes out as the next single write, and no message overtakes the records it
tells of.

    controller = Controller(broker_id, incarnation, store, send=..., peers=..., config=..., clock=...)
    await controller.run_for_lease()
    controller.on_message(sender, message)          # anything in `protocol.cluster_control.ControllerRequest`
    controller.on_broker_down(broker_id, incarnation)
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from machines.controller import (
    AppendRecords,
    Asked,
    Broadcast,
    BrokerDied,
    ControllerMachine,
    Effect,
    Elected,
    Event,
    Resign,
    Send,
    StoreSnapshot,
    Tick,
)
from machines.metadata import MetadataImage
from model.configs import BrokerConfig
from model.errors import OdradekError
from protocol.cluster_control import ControllerMessage, ControllerRequest, NotController
from protocol.metadata_records import MetadataRecord
from storage.metadata_store import MetadataStore

log = logging.getLogger(__name__)


class CutOff(OdradekError):
    """Too few brokers hear this controller. It should not run for the lease again for `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__("too few of the brokers hear it")
        self.wait_ms = wait_ms


class KnownPeers(Protocol):
    """The brokers as the supervisor last said: `live` ones and the `newest` of each, both broker -> incarnation."""

    @property
    def live(self) -> Mapping[int, int]: ...

    @property
    def newest(self) -> Mapping[int, int]: ...


class Controller:
    """`send(broker_id, message)` must deliver to the own broker too, and in order. `clock()` is now in ms.

    `peers` is what the supervisor last said of the brokers. `on_lost(reason)` is called once if
    the controller can't go on (disk trouble, lost lease, a bug); it has given the lease up by then, and
    `run_for_lease` may be called again. After CutOff others should have the lease first.
    """

    def __init__(
        self,
        broker_id: int,
        incarnation: int,
        store: MetadataStore,
        *,
        send: Callable[[int, ControllerMessage], object],
        peers: KnownPeers,
        config: BrokerConfig,
        clock: Callable[[], int],
        on_lost: Callable[[BaseException], None] | None = None,
        tick_ms: int = 1000,
    ) -> None:
        self._broker_id = broker_id
        self._incarnation = incarnation
        self._store = store
        self._send = send
        self._peers = peers
        self._config = config
        self._clock = clock
        self.on_lost = on_lost
        self.on_replayed: Callable[[MetadataImage], None] | None = None  # told of what was there before the first step
        self.on_step: Callable[[Event, Sequence[Effect]], None] | None = None  # told of every decision
        self._tick_s = tick_ms / 1000
        self._machine: ControllerMachine | None = None
        self._is_stopped = False
        self._won: asyncio.Future[tuple[int, MetadataImage, int]] | None = None  # who waits for the lease now
        self._is_waiting = False  # a thread waits for it
        self._died: dict[int, int] = {}  # deaths reported while we wait; the view may be older than they are
        self._waiting: deque[list[Effect]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._ticking: asyncio.TimerHandle | None = None

    @property
    def is_active(self) -> bool:
        """This broker is the controller."""
        return self._machine is not None

    @property
    def image(self) -> MetadataImage | None:
        """The controller's own image; may be ahead of what is durable. None unless active. Read only."""
        return self._machine.image if self._machine is not None else None

    async def run_for_lease(self) -> None:
        """Return once this broker is the controller and has announced itself, perhaps never.

        Raises StorageFailure when the metadata can't be read. After `stop` it doesn't return; cancel it. Whoever calls
        it again after that takes over the thread that waits already.
        """
        loop = asyncio.get_running_loop()
        self._won = loop.create_future()
        if not self._is_waiting:
            self._is_waiting = True
            threading.Thread(target=self._wait_for_lease, args=(loop,), name="controller-lease", daemon=True).start()
        epoch, image, records_in_log = await self._won
        self._executor = ThreadPoolExecutor(1, "metadata-log")
        if self.on_replayed is not None:
            self.on_replayed(image)
        self._machine = ControllerMachine(image, self._config, seed=os.urandom(16), records_in_log=records_in_log)
        alive = self._presumed_alive(image)
        log.info("broker %d is the controller, epoch %d, version %d", self._broker_id, epoch, image.version)
        self._step(Elected(self._broker_id, epoch, alive))
        for broker_id, incarnation in self._died.items():
            self._step(BrokerDied(broker_id, incarnation))
        self._died.clear()
        self._schedule_tick()
        await self._until_written()

    def _presumed_alive(self, image: MetadataImage) -> dict[int, int]:
        """As the supervisor last said, and those of whom it had not heard yet: they registered since.

        To fence them would take from the ISRs just those that have everything, when the leader dies next.
        """
        newest = self._peers.newest
        alive = {
            broker.broker_id: broker.incarnation
            for broker in image.live_brokers()
            if broker.incarnation > newest.get(broker.broker_id, -1)
        }
        alive |= self._peers.live
        alive[self._broker_id] = self._incarnation
        return {broker: number for broker, number in alive.items() if number > self._died.get(broker, -1)}

    def on_message(self, sender: int, message: ControllerRequest) -> None:
        """A request from broker `sender`; whoever isn't the controller says so."""
        if self._machine is None:
            holder = self._store.watch()
            known = (holder.broker_id, holder.controller_epoch) if holder is not None else (-1, -1)
            self._send(sender, NotController(message.correlation_id, *known))
            return
        self._step(Asked(sender, message))

    def on_broker_down(self, broker_id: int, incarnation: int) -> None:
        """The supervisor saw a death. Remembered while this broker isn't the controller: it may be the next one."""
        if self._machine is None:
            self._died[broker_id] = max(incarnation, self._died.get(broker_id, -1))
            return
        self._step(BrokerDied(broker_id, incarnation))

    def announce_to(self, broker_id: int) -> None:
        """Tell a broker that has just come up who the controller is, instead of letting it wait for the next tick."""
        if self._machine is not None:
            self._send(broker_id, self._machine.announcement())

    def abdicate(self) -> None:
        """Let go of the lease now, whatever is under way; nothing happens when it isn't held."""
        if self._machine is not None:
            self._give_up()

    async def stop(self) -> None:
        """Finish what is being written, then let go of the lease. Nothing is sent afterwards."""
        self._is_stopped = True
        await self._until_written()
        self.abdicate()

    def _wait_for_lease(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            epoch = self._store.elect(self._broker_id)
            stored = self._store.get()
            image = MetadataImage.of(stored.records, stored.version)
        except BaseException as failure:
            _call(loop, partial(self._not_won, failure))
            return
        if not _call(loop, partial(self._has_won, epoch, image, stored.records_in_log)):
            self._store.resign()

    def _has_won(self, epoch: int, image: MetadataImage, records_in_log: int) -> None:
        self._is_waiting = False
        if self._is_stopped or self._won is None or self._won.done():
            self._store.resign()
        else:
            self._won.set_result((epoch, image, records_in_log))

    def _not_won(self, failure: BaseException) -> None:
        self._is_waiting = False
        if self._won is not None and not self._won.done():
            self._won.set_exception(failure)

    def _step(self, event: Event) -> None:
        machine = self._machine
        if machine is None or self._is_stopped:
            return
        try:
            effects = machine.step(event, self._clock())
        except Exception as bug:
            # half a decision may be in the image now: only a replay is sure to be right
            self._lose(bug)
            return
        if self.on_step is not None:
            self.on_step(event, effects)
        if self._writer is None and not any(isinstance(effect, AppendRecords | StoreSnapshot) for effect in effects):
            self._deliver(effects)
            return
        self._waiting.append(effects)
        if self._writer is None:
            self._start_writer()

    def _start_writer(self) -> None:
        self._writer = asyncio.get_running_loop().create_task(self._write())
        self._writer.add_done_callback(self._written)

    async def _write(self) -> None:
        """Write what waits, all appends up to a snapshot as one, then deliver what depends on it."""
        while self._waiting and self._machine is not None:
            effects: list[Effect] = []
            records: list[MetadataRecord] = []
            base_version, snapshot = -1, None
            while self._waiting and snapshot is None:
                for effect in self._waiting.popleft():
                    if isinstance(effect, AppendRecords):
                        base_version = effect.base_version if not records else base_version
                        records += effect.records
                    elif isinstance(effect, StoreSnapshot):
                        snapshot = effect
                    else:
                        effects.append(effect)
            epoch = self._machine.image.controller_epoch
            if records:
                await self._in_thread(self._store.put_if_version, epoch, base_version, records)
            self._deliver(effects)
            if snapshot is not None and self._machine is not None:
                await self._in_thread(self._store.put_snapshot, epoch, snapshot.version, snapshot.records)

    async def _in_thread(
        self,
        put: Callable[[int, int, Sequence[MetadataRecord]], object],
        epoch: int,
        version: int,
        records: Sequence[MetadataRecord],
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, put, epoch, version, records)

    async def _until_written(self) -> None:
        while self._writer is not None:
            await asyncio.wait([self._writer])
            await asyncio.sleep(0)  # lets `_written` run

    def _written(self, writer: asyncio.Task[None]) -> None:
        if self._writer is writer:
            self._writer = None
        failure = None if writer.cancelled() else writer.exception()
        if failure is not None:
            self._lose(failure)
        elif self._waiting and self._writer is None:
            self._start_writer()  # a step came between the writer's last look and this callback

    def _deliver(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect.broker_id, effect.message)
            elif isinstance(effect, Broadcast):
                for broker_id in {**self._peers.live, self._broker_id: 0}:
                    self._send(broker_id, effect.message)
            elif isinstance(effect, Resign):
                self._lose(CutOff(self._config.get_int("broker.session.timeout.ms")))

    def _schedule_tick(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._step(Tick())
        if self._machine is not None:
            self._schedule_tick()

    def _lose(self, reason: BaseException) -> None:
        if self._machine is None:
            return
        trace = None if isinstance(reason, CutOff) else reason
        log.error("broker %d gives up being the controller: %s", self._broker_id, reason, exc_info=trace)
        self._give_up()
        if self.on_lost is not None:
            self.on_lost(reason)

    def _give_up(self) -> None:
        self._machine = None
        self._waiting.clear()
        if self._ticking is not None:
            self._ticking.cancel()
        if self._executor is not None:
            self._executor.shutdown(wait=True)  # a write under way would go on into a lock that is no longer ours
        self._store.resign()


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> bool:
    """False when the loop is closed: the broker is gone."""
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:
        return False
    return True
