"""Single requests that fail with a code, are late, or lose their connection: what a client must cope with."""

from __future__ import annotations

from chaos.faults.fault import Fault, at_least
from chaos.patient import Patient
from model.error_codes import ErrorCode
from model.errors import ConfigError
from protocol.api_keys import API_KEYS
from protocol.cluster_chaos import HealRequests, RequestFault

_TYPICAL = (
    ("Produce", "NOT_LEADER_OR_FOLLOWER"),
    ("Produce", "NOT_ENOUGH_REPLICAS"),
    ("Produce", "REQUEST_TIMED_OUT"),
    ("Fetch", "NOT_LEADER_OR_FOLLOWER"),
    ("Fetch", "disconnect"),
    ("Produce", "disconnect"),
    ("Produce", "lost answer"),
    ("OffsetCommit", "COORDINATOR_NOT_AVAILABLE"),
    ("Metadata", "delay"),
)
_OFTEN = ("Produce", "Fetch")
"""Of the others the twentieth request may never come."""


class Request(Fault):
    """`api` by name or number ("": a typical fault, by the seed). `error` by name; `broker` 0 is every broker.

    The `nth` such request from now on, and `count` - 1 after it. `lost_answer`: it is served, and the connection ends
    instead of the answer.
    """

    name = "request"

    def __init__(
        self,
        api: str = "",
        nth: int = 1,
        count: int = 1,
        error: str = "",
        delay_ms: float = 0.0,
        disconnect: bool = False,
        lost_answer: bool = False,
        broker: int = 0,
    ) -> None:
        at_least(1, nth=nth, count=count)
        at_least(0, delay_ms=delay_ms)
        self.broker = broker
        self.met = 0  # requests that ran into it, known once it is healed
        self.fault: RequestFault | None = None
        if api:
            code = error_of(error) if error else -1
            if not (error or delay_ms or disconnect or lost_answer):
                raise ConfigError("what shall happen to the request: an error, a delay, or a lost connection?")
            if error and (disconnect or lost_answer):
                raise ConfigError(f"either the answer is {error}, or there is none: its connection ends")
            ends = disconnect or lost_answer
            self.fault = RequestFault(api_of(api), nth, count, code, float(delay_ms), ends, lost_answer)

    def inject(self, patient: Patient) -> str:
        fault = self.fault or self._typical(patient)
        if self.broker:
            patient.chosen(self.broker)
        api = API_KEYS[fault.api_key].name
        event = patient.tell(self.name, f"broker {self.broker or 'any'}", api=api, nth=fault.nth, count=fault.count,
                             what=_name_of(fault))  # fmt: skip
        patient.order(self.broker, fault, event=event)
        which = f"{fault.nth}" if fault.count == 1 else f"{fault.nth} to {fault.nth + fault.count - 1}"
        return f"{api} {which} of {'broker ' + str(self.broker) if self.broker else 'each broker'}: {_name_of(fault)}"

    @staticmethod
    def _typical(patient: Patient) -> RequestFault:
        api, what = patient.random.choice(_TYPICAL)
        nth, count = 1 + patient.random.randrange(20 if api in _OFTEN else 1), 1 + patient.random.randrange(5)
        match what:
            case "delay":
                return RequestFault(api_of(api), nth, count, delay_ms=500.0)
            case "disconnect" | "lost answer":
                is_served = what == "lost answer"
                return RequestFault(api_of(api), nth, count, disconnects=True, after_serving=is_served)
        return RequestFault(api_of(api), nth, count, error_of(what))

    def heal(self, patient: Patient) -> None:
        said = patient.order(0, HealRequests()).said.values()
        self.met += sum(int(count) for count in said if count)
        self.struck = self.met > 0
        patient.tell(self.name, "brokers", "heal")


def _name_of(fault: RequestFault) -> str:
    if fault.error >= 0:
        return ErrorCode(fault.error).name
    if fault.disconnects:
        return "lost answer" if fault.after_serving else "disconnect"
    return f"{fault.delay_ms:g} ms late"


def api_of(name: str) -> int:
    """Raises ConfigError."""
    wanted = name.replace("-", "").replace("_", "").lower()
    for key, api in API_KEYS.items():
        if wanted in (api.name.lower(), str(key)):
            return key
    raise ConfigError(f"there is no API {name}: see docs/api_keys.md")


def error_of(name: str) -> int:
    """Raises ConfigError."""
    code = ErrorCode.__members__.get(name.upper().replace("-", "_"), ErrorCode.NONE)
    if code is ErrorCode.NONE:
        raise ConfigError(f"there is no error {name}: write it as NOT_LEADER_OR_FOLLOWER")
    return int(code)
