"""A shop of three services that only know each other's events: orders, payments, stock.

    requests -> orders:   placed ............................ confirmed, or cancelled
                payments:         paid or refused ........... refunded, after a cancelled order that was paid
                stock:                     reserved or sold-out

Each is a process, each is killed in the middle of things, and so are brokers. In the end every order is confirmed or
cancelled, never both; what customers paid and what left the shelves is what was confirmed.

    python examples/shop.py [localhost:9092]
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from typing import Any

from common import Service, Worker, a_producer, brokers_of, fresh, pack, read_all, role_of, unpack, wait_for

ORDERS = 600
CUSTOMERS, MONEY = 20, 800
ITEMS, PIECES, PRICE = 8, 45, 40
KILLS = 6

Event = dict[str, Any]


class Orders(Service):
    """Decides nothing itself: follows what payments and stock say."""

    state: dict[int, str]

    def reset(self) -> None:
        self.state = {}

    def fold(self, event: Event) -> None:
        self.state[event["id"]] = event["what"]

    def decide(self, topic: str, record: Event) -> list[Event]:
        outcome = {"request": "placed", "reserved": "confirmed", "refused": "cancelled", "sold-out": "cancelled"}
        what = outcome.get(record["what"])
        if what is None or (what == "placed") == (record["id"] in self.state):
            return []  # not ours, or a customer who asked twice
        return [record | {"what": what}]


class Payments(Service):
    """Every customer begins with the same amount; nobody gets credit."""

    balances: Counter[str]
    paid: set[int]

    def reset(self) -> None:
        self.balances, self.paid = Counter(), set()

    def fold(self, event: Event) -> None:
        if event["what"] == "paid":
            self.balances[event["customer"]] -= PRICE
            self.paid.add(event["id"])
        elif event["what"] == "refunded":
            self.balances[event["customer"]] += PRICE
            self.paid.discard(event["id"])

    def decide(self, topic: str, record: Event) -> list[Event]:
        if record["what"] == "placed":
            is_covered = MONEY + self.balances[record["customer"]] >= PRICE
            return [record | {"what": "paid" if is_covered else "refused"}]
        if record["what"] == "cancelled" and record["id"] in self.paid:
            return [record | {"what": "refunded"}]
        return []


class Stock(Service):
    """What is on the shelves."""

    left: Counter[str]

    def reset(self) -> None:
        self.left = Counter({f"item-{number}": PIECES for number in range(ITEMS)})

    def fold(self, event: Event) -> None:
        self.left[event["item"]] -= event["what"] == "reserved"

    def decide(self, topic: str, record: Event) -> list[Event]:
        if record["what"] != "paid":
            return []
        return [record | {"what": "reserved" if self.left[record["item"]] else "sold-out"}]


SERVICES: dict[str, tuple[type[Service], tuple[str, ...]]] = {
    "orders": (Orders, ("requests", "payments", "stock")),
    "payments": (Payments, ("orders",)),
    "stock": (Stock, ("payments",)),
}


def serve(role: str, bootstrap: str, shop: str) -> None:
    kind, inputs = SERVICES[role]
    kind(bootstrap, f"{shop}.{role}", [f"{shop}.{name}" for name in inputs], f"{shop}.{role}").run()


def check(events: dict[str, list[Event]]) -> str:
    """Raises AssertionError when the books don't agree."""
    by_order: dict[int, Counter[str]] = defaultdict(Counter)
    money: Counter[str] = Counter()
    pieces: Counter[str] = Counter()
    for event in (event for topic in events.values() for event in topic):
        by_order[event["id"]][event["what"]] += 1
        money[event["customer"]] += {"paid": PRICE, "refunded": -PRICE}.get(event["what"], 0)
        pieces[event["item"]] += event["what"] == "reserved"
    assert len(by_order) == ORDERS
    for number, steps in by_order.items():
        assert max(steps.values()) == 1, f"order {number} went through a step twice: {steps}"
        assert steps["confirmed"] + steps["cancelled"] == 1, f"order {number}: {steps}"
        assert steps["confirmed"] == steps["reserved"] == steps["paid"] - steps["refunded"], f"order {number}: {steps}"
    assert all(0 <= spent <= MONEY for spent in money.values()), "a customer overspent"
    assert all(count <= PIECES for count in pieces.values()), "sold what wasn't there"
    totals = sum(by_order.values(), Counter[str]())
    return f"{totals['confirmed']} confirmed, {totals['refused']} refused by the bank, {totals['sold-out']} sold out"


def main(arguments: list[str]) -> None:
    shop = fresh("shop")
    choice = random.Random(4)
    with brokers_of(arguments[:1]) as brokers:
        brokers.create(*(f"{shop}.{name}" for name in ("requests", *SERVICES)), partitions=1)

        def events() -> dict[str, list[Event]]:
            return {name: [unpack(r) for r in read_all(brokers.bootstrap, f"{shop}.{name}")] for name in SERVICES}

        def decided() -> int:
            return sum(event["what"] != "placed" for event in events()["orders"])

        workers = [Worker(role, brokers.bootstrap, shop) for role in SERVICES]
        try:
            with a_producer(brokers.bootstrap) as producer:
                for kill in range(KILLS):
                    for number in range(kill * ORDERS // KILLS, (kill + 1) * ORDERS // KILLS):
                        customer = f"customer-{choice.randrange(CUSTOMERS)}"
                        item = f"item-{min(choice.randrange(ITEMS), choice.randrange(ITEMS))}"
                        request = pack(what="request", id=number, customer=customer, item=item)
                        producer.send(f"{shop}.requests", request, b"%d" % number)
                    producer.flush()
                    wait_for(lambda kill=kill: decided() > kill * ORDERS // (KILLS + 1), workers)
                    victim = workers[kill % 3]
                    print(f"{decided()} orders decided; kill -9 {victim.role}")
                    victim.kill_and_restart()
                    if kill in (1, 3):
                        print(brokers.kill_leader(f"{shop}.orders"))

            def is_settled() -> bool:
                rows = events()
                steps = Counter(event["what"] for topic in rows.values() for event in topic)
                is_refunded = steps["refunded"] == steps["sold-out"]
                return steps["confirmed"] + steps["cancelled"] >= ORDERS and is_refunded

            wait_for(is_settled, workers)
        finally:
            for worker in workers:
                worker.kill()
        print(f"ok: {ORDERS} orders, {check(events())}; {KILLS} kills")


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    serve(role, *rest) if role else main(rest)
