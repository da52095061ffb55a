"""32 DescribeConfigs, v1-4.

Every config of a topic (resource type 2), a broker (4) or a group (32): type, documentation, where the value is from.
- The broker with an empty name is what was changed for all brokers, and nothing else.
- A broker's id, address and directory are shown as set, although the supervisor gave them to it.
Left out: broker loggers (8) and client metrics (16) are answered with an empty list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from model.config_describe import ConfigEntry, describe_broker, describe_broker_default, describe_group, describe_topic
from model.configs import BrokerConfig
from model.errors import ErrorCode
from protocol.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext
    from actors.broker import Broker

TOPIC, BROKER, GROUP = 2, 4, 32
LISTED_EMPTY = (8, 16)


def handle(context: RequestContext, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    """Describe every resource that was asked for."""
    return DescribeConfigsResponse(results=[_describe(context, request, r) for r in request.resources])


def _describe(
    context: RequestContext, request: DescribeConfigsRequest, wanted: DescribeConfigsResource
) -> DescribeConfigsResult:
    result = DescribeConfigsResult(
        error_message=None, resource_type=wanted.resource_type, resource_name=wanted.resource_name
    )
    image, broker = context.broker.image, context.broker
    own, of_all = image.broker_configs.get(str(broker.spec.broker_id), {}), image.broker_configs.get("", {})
    entries: Iterable[ConfigEntry] = ()
    if wanted.resource_type == TOPIC:
        topic = image.topics.get(wanted.resource_name)
        if topic is None:
            result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            result.error_message = f"there is no topic {wanted.resource_name!r}"
            return result
        entries = describe_topic(broker.static_config, topic.configs, own, of_all)
    elif wanted.resource_type == BROKER:
        if wanted.resource_name not in ("", str(broker.spec.broker_id)):
            result.error_code = ErrorCode.INVALID_REQUEST
            result.error_message = f"ask broker {wanted.resource_name} itself; this is {broker.spec.broker_id}"
            return result
        if wanted.resource_name:
            entries = describe_broker(_as_started(broker), own, of_all)
        else:
            entries = describe_broker_default(broker.static_config, of_all)
    elif wanted.resource_type == GROUP:
        entries = describe_group(broker.config, image.group_configs.get(wanted.resource_name, {}))
    elif wanted.resource_type not in LISTED_EMPTY:
        result.error_code = ErrorCode.INVALID_REQUEST
        result.error_message = f"resource type {wanted.resource_type} has no configs"
    keys = None if wanted.configuration_keys is None else set(wanted.configuration_keys)
    result.configs = [_row(entry, request) for entry in entries if keys is None or entry.name in keys]
    return result


def _as_started(broker: Broker) -> BrokerConfig:
    """Its static configs, with what Kafka's operator would have written into server.properties."""
    spec, address = broker.spec, f"PLAINTEXT://{broker.spec.host}:{broker.port}"
    given = {
        "node.id": str(spec.broker_id),
        "broker.id": str(spec.broker_id),
        "listeners": address,
        "advertised.listeners": address,
        "log.dirs": str(spec.data_dir),
    }
    return broker.static_config.with_overrides(given)


def _row(entry: ConfigEntry, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    row = DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.is_read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        config_type=entry.type,
        documentation=entry.doc if request.include_documentation else None,
    )
    if request.include_synonyms:
        row.synonyms = [DescribeConfigsSynonym(name=n, value=v, source=s) for n, v, s in entry.synonyms]
    return row
