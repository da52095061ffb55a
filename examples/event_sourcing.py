"""Event sourcing: the events are the truth, every state is a fold over them.

A bank takes commands (deposit, withdraw), refuses what would overdraw an account, and writes what happened. Its memory
is lost with every kill -9 and comes back from its events. Any state of the past is a shorter fold.

    python examples/event_sourcing.py [localhost:9092]
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

from common import Service, Worker, a_producer, brokers_of, fresh, pack, read_all, role_of, unpack, wait_for

COMMANDS = 1_500
ACCOUNTS = 10
KILLS = 4


class Bank(Service):
    """Commands in, events out."""

    balances: Counter[str]

    def reset(self) -> None:
        self.balances = Counter()

    def fold(self, event: dict[str, Any]) -> None:
        if event["what"] != "refused":
            self.balances[event["account"]] += event["cents"]

    def decide(self, topic: str, record: dict[str, Any]) -> list[dict[str, Any]]:
        is_covered = self.balances[record["account"]] + record["cents"] >= 0
        what = ("deposited" if record["cents"] > 0 else "withdrawn") if is_covered else "refused"
        return [{"id": record["id"], "account": record["account"], "what": what, "cents": record["cents"]}]


def main(arguments: list[str]) -> None:
    bank = fresh("bank")
    commands, events = f"{bank}.commands", f"{bank}.events"
    choice = random.Random(3)
    with brokers_of(arguments[:1]) as brokers:
        brokers.create(commands, partitions=3)
        brokers.create(events, partitions=1)

        def history() -> list[dict[str, Any]]:
            return [unpack(record) for record in read_all(brokers.bootstrap, events)]

        with Worker("bank", brokers.bootstrap, bank, commands, events) as worker:
            for kill in range(1, KILLS + 1):
                with a_producer(brokers.bootstrap) as producer:
                    for number in range((kill - 1) * COMMANDS // KILLS, kill * COMMANDS // KILLS):
                        account, cents = f"account-{choice.randrange(ACCOUNTS)}", choice.randrange(-900, 1_000) or 1
                        producer.send(commands, pack(id=number, account=account, cents=cents), account.encode())
                wait_for(lambda kill=kill: len(history()) > (kill - 1) * COMMANDS // KILLS, [worker])
                worker.kill_and_restart()
                if kill == 2:
                    print(brokers.kill_leader(events))
            wait_for(lambda: len(history()) >= COMMANDS, [worker])
        found = history()
        assert sorted(event["id"] for event in found) == list(range(COMMANDS)), "a command was answered twice, or never"
        replay = Bank("", bank, [], events)
        replay.reset()
        for number, event in enumerate(found):
            replay.fold(event)
            assert replay.balances[event["account"]] >= 0, "an account was overdrawn"
            if number == COMMANDS // 2:
                print(f"half way through its history the bank held {replay.balances.total()} cents")
        refused = sum(event["what"] == "refused" for event in found)
        print(f"ok: {COMMANDS} commands, {refused} refused, {KILLS} kills, {replay.balances.total()} cents in the bank")


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    if role == "bank":
        where, name, commands, events = rest
        Bank(where, name, [commands], events).run()
    else:
        main(rest)
