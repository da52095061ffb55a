"""What goes wrong in a streams program, and when.

OdradekError
└── StreamsError          root of this room
    ├── TopologyError     the program can't work as written: raised while it is built, before any record flows
    ├── SerdeError        bytes that don't decode, or a value its serde can't encode
    ├── StateStoreError   a store used the wrong way: closed, or not connected to the processor
    ├── MissingTopic      a topic that the app reads, and that somebody else should have created, is not there
    └── TaskFailed        a record stopped its task; the message names topic, partition, offset and processor
"""

from __future__ import annotations

from model.errors import OdradekError


class StreamsError(OdradekError):
    """Root of everything the streams room raises on purpose."""


class TopologyError(StreamsError):
    """The topology contradicts itself. Raised by the builder or by `build()`; mend the program."""


class SerdeError(StreamsError):
    """A serde met bytes or a value it can't handle. Deserialization handlers may skip such records."""


class StateStoreError(StreamsError):
    """A store was asked for something it can't give."""


class MissingTopic(StreamsError):
    """A source topic isn't there. Raised by a starting app; create the topic."""


class TaskFailed(StreamsError):
    """Processing one record failed and the handler chose to stop. The cause is chained."""
