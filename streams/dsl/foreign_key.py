"""The plan of a join by foreign key: there through one topic, back through another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.dsl.graph import ProcessorStep, SinkStep, SourceStep, VersionedStep
from streams.dsl.materialized import Materialized, StoreOptions
from streams.operators.foreign_key import (
    AnswerJoin,
    ForeignTableJoin,
    SubscriptionJoin,
    SubscriptionReceive,
    SubscriptionSend,
)
from streams.operators.subscriptions import AnswerSerde, ForeignKeySerdes, SubscriptionSerde
from streams.operators.table import TableSource
from streams.serdes import BYTES
from streams.stores.builder import StoreBuilder, StoreKind, StoreSupplier

if TYPE_CHECKING:
    from streams.dsl.table import KTable

_JOIN = "KTABLE-FK-JOIN-"


def join_on_foreign_key(
    left: KTable[Any, Any],
    right: KTable[Any, Any],
    joiner: Callable[[Any, Any], Any],
    foreign_key: Callable[..., Any],
    name: str | None,
    partitioners: tuple[Any, Any],
    store: StoreOptions,
    is_left: bool,
) -> KTable[Any, Any]:
    """The joined table, keyed and partitioned as `left`."""
    from streams.dsl.table import KTable

    plan = left.plan
    right.operator.enable_sending_old_values(True)
    left.operator.enable_sending_old_values(True)

    there_topic = plan.suffixed(name, "-subscription-registration", f"{_JOIN}SUBSCRIPTION-REGISTRATION-") + "-topic"
    plan.internal_topics.append(there_topic)
    serdes = ForeignKeySerdes(left.key_serde, left.value_serde, right.key_serde, right.value_serde, there_topic)
    subscription_serde, answer_serde = SubscriptionSerde(left.key_serde), AnswerSerde(right.value_serde)

    send = VersionedStep(
        plan.suffixed(name, "-subscription-registration-processor", f"{_JOIN}SUBSCRIPTION-REGISTRATION-"),
        SubscriptionSend(foreign_key, serdes, is_left=is_left),
    )
    plan.add(send, left.node)
    there = SinkStep(
        plan.suffixed(name, "-subscription-registration-sink", "KTABLE-SINK-"),
        there_topic,
        right.key_serde,
        subscription_serde,
        _by_key_only(partitioners[1]),
    )
    plan.add(there, send)
    arrival = SourceStep(
        plan.suffixed(name, "-subscription-registration-source", "KTABLE-SOURCE-"),
        (there_topic,),
        None,
        right.key_serde,
        subscription_serde,
        None,
        None,
    )
    plan.add(arrival, there)
    plan.copartition({*right.sources, arrival.name})

    store_name = plan.suffixed(name, "-subscription-store", f"{_JOIN}SUBSCRIPTION-STATE-STORE-")
    subscriptions = StoreBuilder(StoreSupplier(store_name, StoreKind.TIMESTAMPED_KEY_VALUE), BYTES, subscription_serde)
    receive = ProcessorStep(
        plan.suffixed(name, "-subscription-receive", f"{_JOIN}SUBSCRIPTION-PROCESSOR-"),
        SubscriptionReceive(subscriptions, serdes),
    )
    plan.add(receive, arrival)
    answer_now = ProcessorStep(
        plan.suffixed(name, "-subscription-join-foreign", f"{_JOIN}SUBSCRIPTION-PROCESSOR-"),
        SubscriptionJoin(right.operator),
        right.operator.view_store_names,
    )
    plan.add(answer_now, receive)
    answer_changes = VersionedStep(
        plan.suffixed(name, "-foreign-join-subscription", f"{_JOIN}SUBSCRIPTION-PROCESSOR-"),
        ForeignTableJoin(subscriptions, serdes),
    )
    plan.add(answer_changes, right.node)

    back_topic = plan.suffixed(name, "-subscription-response", f"{_JOIN}SUBSCRIPTION-RESPONSE-") + "-topic"
    plan.internal_topics.append(back_topic)
    back = SinkStep(
        plan.suffixed(name, "-subscription-response-sink", "KTABLE-SINK-"),
        back_topic,
        left.key_serde,
        answer_serde,
        _by_key_only(partitioners[0]) or _to_primary_partition,
    )
    plan.add(back, answer_now)
    plan.add(back, answer_changes)
    returned = SourceStep(
        plan.suffixed(name, "-subscription-response-source", "KTABLE-SOURCE-"),
        (back_topic,),
        None,
        left.key_serde,
        answer_serde,
        None,
        None,
    )
    plan.add(returned, back)
    sources = {*left.sources, returned.name}
    plan.copartition(sources)
    resolve = ProcessorStep(
        plan.suffixed(name, "-subscription-response-resolver", f"{_JOIN}SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-"),
        AnswerJoin(left.operator, serdes, joiner, is_left=is_left),
        left.operator.view_store_names,
    )
    plan.add(resolve, returned)

    result_name = plan.suffixed(name, "-result", f"{_JOIN}OUTPUT-")
    options = plan.with_store_name(Materialized.of(store), f"{_JOIN}OUTPUT-").with_serdes(left.key_serde, None)
    operator = TableSource(options.table_store(), is_materialized=options.is_queryable)
    result = ProcessorStep(result_name, operator)
    result.output_is_versioned = options.is_versioned
    plan.add(result, resolve)
    queryable = options.name if options.is_queryable else None
    return KTable(
        plan, result, result_name, left.key_serde, options.value_serde, sources, operator=operator, store_name=queryable
    )


def _by_key_only(partitioner: Any) -> Any:
    """The user's partitioner; it sees keys only, as values on these topics aren't the user's."""
    if partitioner is None:
        return None
    return lambda topic, key, _value, partitions: partitioner(topic, key, None, partitions)


def _to_primary_partition(_topic: str, _key: Any, answer: Any, _partitions: int) -> int | None:
    partition: int | None = answer.primary_partition
    return partition
