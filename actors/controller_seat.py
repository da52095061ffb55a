"""The actor at "/controller": it waits for the lease, and while it holds it, is the cluster's controller.

Every broker has one. `actors.controller` does the work; the seat gives it an inbox, a supervisor and statistics.
Whoever loses the lease runs for it again a little later: another broker may be the controller by then. Whoever gave it
up because too few hear it waits a whole session, so that those who hear each other come first. Trouble with the disk is
no reason to crash, a bug is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from actors.actor import Actor
from actors.controller import Controller, CutOff
from actors.supervision import RestartPolicy
from machines.controller import BrokerDied
from model.errors import OdradekError
from protocol.cluster_control import ControllerRequest

logger = logging.getLogger(__name__)

CONTROLLER_PATH = "/controller"
ELECTIONS_PATH = "/elections"
ELECTIONS_POLICY = RestartPolicy(intensity=20, period_ms=10_000)
AGAIN_MS = 500


@dataclass(frozen=True, slots=True)
class FromBroker:
    """A request of broker `broker_id` to whoever is the controller."""

    broker_id: int
    message: ControllerRequest


@dataclass(frozen=True, slots=True)
class BrokerCame:
    """A broker can be reached: it wants to know who the controller is."""

    broker_id: int


class RunAgain:
    """Time to try for the lease once more."""


class ControllerSeat(Actor):
    """`on_elected(controller_epoch)` is called each time this broker has become the controller."""

    def __init__(self, controller: Controller, on_elected: Callable[[int], None]) -> None:
        super().__init__()
        self.controller = controller
        self._on_elected = on_elected

    def on_start(self) -> None:
        self.controller.on_lost = self._lost
        self.spawn(self._run_for_lease())

    def on_receive(self, message: FromBroker | BrokerDied | BrokerCame | RunAgain) -> None:
        if type(message) is FromBroker:
            self.controller.on_message(message.broker_id, message.message)
        elif type(message) is BrokerDied:
            self.controller.on_broker_down(message.broker_id, message.incarnation)
        elif type(message) is BrokerCame:
            self.controller.announce_to(message.broker_id)
        elif type(message) is RunAgain:
            self.spawn(self._run_for_lease())
        else:
            raise TypeError(f"not for the controller: {message!r}")

    def on_failure(self, *_: object) -> None:
        self.controller.abdicate()

    async def _run_for_lease(self) -> None:
        try:
            await self.controller.run_for_lease()
        except OdradekError as trouble:
            logger.error("the controller can't start here: %s", trouble)
            self.schedule(AGAIN_MS, RunAgain())
            return
        image = self.controller.image
        if image is not None:
            self._on_elected(image.controller_epoch)

    def _lost(self, reason: BaseException) -> None:
        if isinstance(reason, OdradekError):
            self.system.events.tell("controller-resigned", "controller", reason=str(reason)[:300])
            self.schedule(reason.wait_ms if isinstance(reason, CutOff) else AGAIN_MS, RunAgain())
        else:  # later, not now: the controller may be in the middle of one of our messages
            self.system.loop.call_soon(self.system.fail, self, reason)
