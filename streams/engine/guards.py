"""What goes wrong in a task: the app's handlers are asked, and else the failure says where it was.

Where nobody handles anything (the default) nothing stands in the way of a record.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from streams.config import StreamsConfig
from streams.engine.context import TaskContext
from streams.engine.dead_letters import DeadLetters
from streams.engine.operator import Process
from streams.errors import SerdeError, TaskFailed
from streams.records import Headers


def guarded(name: str, process: Process, context: TaskContext, letters: DeadLetters) -> Process:
    """`process`, asking the app's handler about what goes wrong; as it is when the handler is the default one."""
    handler = context.config.processing_exception_handler
    if handler is StreamsConfig.processing_exception_handler and not letters.topic:
        return process

    def ask_if_it_fails(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            process(key, value, timestamp, headers)
        except TaskFailed:
            raise
        except Exception as error:
            answer = handler((name, key, value, timestamp, headers), error)
            _fail_or_drop(answer, name, timestamp, error, context, letters)

    return ask_if_it_fails


def guarded_sink(name: str, send: Process, context: TaskContext, letters: DeadLetters) -> Process:
    """`send`, asking the app's handler about what can't be written."""
    handler = context.config.production_exception_handler
    if handler is StreamsConfig.production_exception_handler and not letters.topic:
        return send

    def ask_if_it_fails(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = name) -> None:
        try:
            send(key, value, timestamp, headers)
        except SerdeError as error:
            answer = handler((name, key, value, timestamp, headers), error)
            _fail_or_drop(answer, name, timestamp, error, context, letters)

    return ask_if_it_fails


def _fail_or_drop(
    answer: str, name: str, timestamp: int, error: Exception, context: TaskContext, letters: DeadLetters
) -> None:
    """Do what the app's handler has answered; the record goes to the dead letters in any case. Raises TaskFailed."""
    letters.send_record_in_hand(timestamp, error)
    if answer == "fail":
        raise TaskFailed(where(context, name)) from error
    context.dropped_records += 1


def where(context: TaskContext, node: str) -> str:
    """What failed and at which record, for TaskFailed."""
    return (
        f"task {context.task_id} failed in processor {node} at record "
        f"{context.topic}-{context.partition}@{context.offset}"
    )


def failing_node(traceback: TracebackType | None) -> str:
    """The node whose function was running: operators keep its name in a local `_node`."""
    name = "?"
    while traceback is not None:
        name = traceback.tb_frame.f_locals.get("_node", name)
        traceback = traceback.tb_next
    return name
