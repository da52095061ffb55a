"""60 DescribeCluster, v0-2.

The cluster id, the controller and the live brokers (v2: the fenced ones too, on request).
Left out: controller endpoints (type 2): the controller is one of the brokers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.k03_metadata import CLUSTER_OPERATIONS, NOT_ASKED
from actors.gateways import address_for
from model.errors import ErrorCode
from protocol.k60_describe_cluster import DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext
    from machines.metadata import BrokerInfo

BROKER_ENDPOINTS = 1


def handle(context: RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse:
    """From the image."""
    image, spec = context.broker.image, context.broker.spec
    if context.api_version >= 1 and request.endpoint_type != BROKER_ENDPOINTS:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="only broker endpoints can be described here",
            endpoint_type=request.endpoint_type,
            cluster_id=spec.cluster_id,
        )
    return DescribeClusterResponse(
        cluster_id=spec.cluster_id,
        controller_id=image.controller_id,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
        brokers=[
            _broker(context, b)
            for b in image.brokers.values()
            if request.include_fenced_brokers or not b.is_fenced
        ],
    )


def _broker(context: RequestContext, broker: BrokerInfo) -> DescribeClusterBroker:
    host, port = address_for(context, broker)
    return DescribeClusterBroker(
        broker_id=broker.broker_id, host=host, port=port, rack=broker.rack, is_fenced=broker.is_fenced
    )
