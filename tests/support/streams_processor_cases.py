"""Topologies of processors: punctuations and the stores at their hands."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from streams_case import S, case, shown

from streams import INT, STRING, FixedKeyProcessor, Processor, PunctuationType, Record, Stores, StreamsBuilder, Windowed


class Punctuating(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        self.seen = 0
        context.schedule(10, PunctuationType.STREAM_TIME, self.punctuate)

    def punctuate(self, now: int) -> None:

        self.context.forward(Record("punct", f"{self.seen}@{now}", now))

    def process(self, record: Any) -> None:
        self.seen += 1


@case
def punctuate_stream_time(b: StreamsBuilder) -> None:
    b.stream("in").process(Punctuating).to("out")


def listed(entries: Any) -> str:
    return " ".join(f"{key}={value}" for key, value in entries)


class Commands(Processor[str, str, str, str]):
    """Records tell what to do with the store `name`; what it answers goes on."""

    name: ClassVar[str]

    def init(self, context: Any) -> None:
        super().init(context)
        self.store = context.get_state_store(self.name)

    def process(self, record: Any) -> None:
        command, *rest = record.value.split(" ")
        self.context.forward(record.with_value(self.answer(command, rest)))

    @abstractmethod
    def answer(self, command: str, rest: list[str]) -> str: ...


class KeyValueCommands(Commands):
    name = "kv"

    def answer(self, command: str, rest: list[str]) -> str:
        store = self.store
        match command:
            case "put":
                store.put(*rest)
                return "ok"
            case "get":
                return shown(store.get(rest[0]))
            case "del":
                return shown(store.delete(rest[0]))
            case "pia":
                return shown(store.put_if_absent(*rest))
            case "range":
                return listed(store.range(*rest))
            case "from":
                return listed(store.range(rest[0], None))
            case "to":
                return listed(store.range(None, rest[0]))
            case "rrange":
                return listed(store.reverse_range(*rest))
            case "prefix":
                return listed(store.prefix_scan(rest[0], STRING))
            case "all":
                return listed(store.all())
            case "rall":
                return listed(store.reverse_all())
        return str(store.approximate_num_entries())


@case
def kv_store_api(b: StreamsBuilder) -> None:
    b.add_state_store(Stores.key_value_store_builder(Stores.persistent_key_value_store("kv"), S, S))
    b.stream("in").process(KeyValueCommands, "kv").to("out")


def sessions(entries: Any) -> str:
    return " ".join(f"{key.key}@{key.start}-{key.end}={value}" for key, value in entries)


class SessionCommands(Commands):
    name = "ss"

    def answer(self, command: str, rest: list[str]) -> str:
        store = self.store
        match command:
            case "put":
                store.put(Windowed(rest[0], int(rest[2]), int(rest[3])), rest[1])
                return "ok"
            case "find":
                return sessions(store.find_sessions(rest[0], int(rest[1]), int(rest[2])))
            case "get":
                return shown(store.fetch_session(rest[0], int(rest[1]), int(rest[2])))
            case "rm":
                store.remove(Windowed(rest[0], int(rest[1]), int(rest[2])))
                return "ok"
        return sessions(store.fetch(rest[0]))


@case
def session_store_api(b: StreamsBuilder) -> None:
    b.add_state_store(Stores.session_store_builder(Stores.persistent_session_store("ss", 1000), S, S))
    b.stream("in").process(SessionCommands, "ss").to("out")


class NumberedValues(FixedKeyProcessor[str, str, str]):
    def process(self, record: Any) -> None:
        store = self.context.get_state_store("n")
        count = (store.get(record.key) or 0) + 1
        store.put(record.key, count)
        self.context.forward(record.with_value(f"{record.value}{count}"))


@case
def process_values_fixed_key_store(b: StreamsBuilder) -> None:
    b.add_state_store(Stores.key_value_store_builder(Stores.in_memory_key_value_store("n"), S, INT))
    b.stream("in").process_values(NumberedValues, "n").to("out")
