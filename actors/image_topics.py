"""The broker's metadata image as groups see it (`machines.topic_view.TopicView`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from machines.metadata import MetadataImage
from machines.topic_view import TopicShape


class ImageTopics:
    """The topics of the image that the broker has at the moment of the call: for one step of a machine, not longer."""

    def __init__(self, image: Callable[[], MetadataImage]) -> None:
        self._image = image

    def names(self) -> Iterable[str]:
        return self._image().topics

    def shape(self, name: str) -> TopicShape | None:
        info = self._image().topics.get(name)
        return None if info is None else TopicShape(bytes(info.topic_id), len(info.partitions))

    def name_of(self, topic_id: bytes) -> str | None:
        info = self._image().topics_by_id.get(topic_id)
        return None if info is None else info.name
