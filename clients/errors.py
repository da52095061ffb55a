"""What clients raise beside the broker's answers.

OdradekError
├── KafkaError (model/errors.py)    the broker said so
│   ├── Disconnected                no answer: the connection could not be made, or ended
│   ├── CertificateRefused          TLS: the broker is not who it should be
│   └── DeliveryTimedOut            `delivery.timeout.ms` is over; the record may or may not have been written
├── BufferFull                      `buffer.memory` is used up, and stayed so for `max.block.ms`
├── ClientClosed                    the client was closed, before or meanwhile
├── CommitFailed                    the group has moved on: the partitions belong to others now
├── NoOffset                        no position, and `auto.offset.reset=none`
├── WokenUp                         `Consumer.wakeup` was called
└── IllegalUse                      calls in an order that makes no sense
"""

from __future__ import annotations

from model.coordinator_errors import SaslAuthenticationFailed
from model.errors import ErrorCode, KafkaError, OdradekError, RequestTimedOut


class Disconnected(KafkaError):
    """Try again, perhaps with another broker; whether the request was carried out is open."""

    code = ErrorCode.NETWORK_EXCEPTION


class CertificateRefused(SaslAuthenticationFailed):
    """The broker's certificate is not one that `ssl.ca.location` vouches for, or names another host."""


class DeliveryTimedOut(RequestTimedOut):
    """The record was not acknowledged in time; look for the reason in the message."""


class BufferFull(OdradekError):
    """The brokers don't keep up with this producer; wait, or raise `buffer.memory` or `max.block.ms`."""


class ClientClosed(OdradekError):
    """Make a new client."""


class CommitFailed(OdradekError):
    """Poll again: the new assignment comes with the offsets that its partitions were committed at."""


class NoOffset(OdradekError):
    """Seek, or set `auto.offset.reset` to earliest or latest."""


class WokenUp(OdradekError):
    """Raised once by the poll that `wakeup` ended, or by the next one."""


class IllegalUse(OdradekError):
    """E.g. `subscribe` after `assign`, or `commit` without a group."""
