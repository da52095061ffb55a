"""A member of a consumer group: it subscribes, is given partitions, and leaves when it is told to."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from chaos.workloads.clients import consumer, key_of
from chaos.workloads.reader import good_ones, note_polled
from chaos.workloads.workload import Workload

_MOST_AT_ONCE = 200
_POLL_S = 0.1
GIVE_BACK_S = 10.0


class Member:
    """One life in the group. `rebalances` collects the keys given and taken since the last operation.

    `outdated` is how many of the messages polled last were handed out before partitions were taken: they are no longer
    ours to commit.
    """

    def __init__(self, workload: Workload, topic: str, group: str, **configs: Any) -> None:
        self.workload = workload
        self.topic = topic
        self.process = workload.history.new_process()
        self.client: Consumer = consumer(
            workload.bootstrap, group, **{"session_timeout_ms": workload.session_ms, **configs}
        )
        self.rebalances: set[str] = set()
        self.outdated = 0
        self._handed_out: list[Message] = []
        self._last: dict[str, int] = {}  # key -> offset of the message handed out last, since it was given
        history = workload.history
        history.append(self.process, "invoke", "subscribe", workload.keys(topic))
        self.client.subscribe([topic], on_assign=self._note, on_revoke=self._taken, on_lost=self._taken)
        history.append(self.process, "ok", "subscribe", workload.keys(topic))

    def poll_messages(self) -> list[Message]:
        """What there is, and whatever was rebalanced meanwhile: then nothing more is taken in the same operation."""
        self._handed_out, self.outdated = [], 0
        messages = self._handed_out
        message = self.client.poll(_POLL_S)
        while message is not None:
            messages += good_ones(self.workload, [message])
            if self.rebalances or len(messages) == _MOST_AT_ONCE:
                break
            message = self.client.poll(0)
        return list(messages)

    def _is_repeated(self, message: Message) -> bool:
        """Whether librdkafka hands out its last message of a partition once more, which is none of the brokers' doing.

        When a cooperative rebalance begins, its own thread takes down where to go on afterwards. Does that fall between
        poll's taking a message off the queue and its moving the position behind it, the same message comes again.
        Only for those who never go back by themselves.
        """
        key, offset = key_of(message), message.offset() or 0
        if self._last.get(key) == offset:
            self.workload.note_repeat()
            return True
        self._last[key] = offset
        return False

    def poll_ours(self) -> list[Message]:
        """Likewise, without what was handed out before a partition was taken.

        A transaction must not commit those: by then the client may speak for the next generation, and the broker can't
        know that the partition has another owner, who begins with the same messages.
        """
        messages = self.poll_messages()
        return messages[self.outdated :]

    def taken_rebalances(self) -> frozenset[str]:
        taken, self.rebalances = frozenset(self.rebalances), set()
        return taken

    def read_once(self) -> list[Message]:
        """One poll operation. Raises KafkaException, written down as info."""
        history = self.workload.history
        history.append(self.process, "invoke", "poll", [["poll", {}]])
        try:
            messages = [message for message in self.poll_messages() if not self._is_repeated(message)]
        except KafkaException as error:
            history.append(self.process, "info", "poll", [["poll", {}]], error=str(error))
            raise
        note_polled(self.workload, self.process, messages, self.taken_rebalances())
        return messages

    def commit(self, messages: list[Message]) -> None:
        """Behind these messages, at once. An error is a matter of the group's, and written down."""
        positions: dict[str, int] = {}
        for message in messages:
            positions[key_of(message)] = (message.offset() or 0) + 1
        offsets = [TopicPartition(self.topic, int(key.rpartition("-")[2]), next_) for key, next_ in positions.items()]
        history = self.workload.history
        history.append(self.process, "invoke", "commit", positions)
        try:
            answered = self.client.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            self.workload.note_error(error)
            history.append(self.process, "info", "commit", positions, error=str(error))
            return
        failures = [answer.error for answer in answered if answer.error is not None]
        error_text = str(failures[0]) if failures else None
        history.append(self.process, "info" if failures else "ok", "commit", positions, error=error_text)
        self.workload.ledger.note_ops(1)

    def leave(self) -> None:
        """Give everything back, then close.

        A close that still has partitions to give back calls our callbacks, and librdkafka sometimes never comes back
        from there, with Python's lock in its hand: not this reader stands still then but the whole process.
        """
        try:
            self.client.unsubscribe()
            give_up_s = time.monotonic() + GIVE_BACK_S
            while self.client.assignment() and time.monotonic() < give_up_s:
                self.read_once()
        except KafkaException as error:
            self.workload.note_error(error)
        self.workload.history.append(self.process, "info", "crash")
        self.client.close()

    def _note(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        keys = {f"{row.topic}-{row.partition}" for row in partitions}
        self.rebalances |= keys
        for key in keys:
            self._last.pop(key, None)

    def _taken(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self._note(client, partitions)
        self.outdated = len(self._handed_out)


class GroupReader:
    """Comes and goes: stays for a mean of `mean_life_s`, is away for a moment, and returns as another process."""

    def __init__(self, workload: Workload, topic: str, group: str, name: str, *, mean_life_s: float,
                 commits: bool, configs: dict[str, Any]) -> None:  # fmt: skip
        self.workload = workload
        self.topic = topic
        self.group = group
        self.choice = workload.random(name)
        self.mean_life_s = mean_life_s
        self.commits = commits
        self.configs = configs

    def live(self) -> None:
        while not self.workload.all_ends.is_set():
            self._one_life(time.monotonic() + self.choice.expovariate(1 / self.mean_life_s) + 1.0)
            self.workload.all_ends.wait(self.choice.uniform(0, 0.5))

    def _one_life(self, until: float) -> None:
        member = Member(self.workload, self.topic, self.group, **self.configs)
        try:
            while not self.workload.all_ends.is_set():
                if time.monotonic() > until and not self.workload.writing_ends.is_set():
                    break
                messages = member.read_once()
                if messages and self.commits:
                    member.commit(messages)
        except KafkaException as error:
            self.workload.note_error(error)
        finally:
            member.leave()
