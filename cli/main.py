"""The command itself: its parts, and what becomes of errors.

Exit codes: 0 done, 1 it failed, 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from cli import (
    chaos,
    cluster,
    config,
    consume,
    doctor,
    export,
    group,
    log,
    mirror,
    produce,
    simulate,
    sql,
    timeline,
    topic,
    txn,
)
from cli.output import FAILED, INTERRUPTED, MISTAKE, Failed

_SETTINGS: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "add_completion": False}
_UsageError: Any = typer.BadParameter.__mro__[1]
_ClickException: Any = typer.BadParameter.__mro__[2]
_REMEDIES = {
    "UNKNOWN_TOPIC_OR_PARTITION": "`odradek topic list` shows those there are",
    "TOPIC_ALREADY_EXISTS": "`odradek topic describe` shows it, `odradek topic alter` changes it",
    "INVALID_REPLICATION_FACTOR": "`odradek status` shows how many brokers there are",
    "INVALID_CONFIG": "`odradek config get` shows names and values",
    "NON_EMPTY_GROUP": "stop its members first (`odradek group describe`)",
    "UNKNOWN_MEMBER_ID": "the group has members: stop them first (`odradek group describe`)",
    "GROUP_ID_NOT_FOUND": "`odradek group list` shows those there are",
    "TRANSACTIONAL_ID_NOT_FOUND": "`odradek txn list` shows those there are",
    "UNSUPPORTED_VERSION": "this cluster can't do that; `odradek doctor` shows what it speaks",
    "SASL_AUTHENTICATION_FAILED": "-X gives logins and certificates, see docs/clients.md",
    "REQUEST_TIMED_OUT": "`odradek doctor` says what is wrong with the cluster",
    "NETWORK_EXCEPTION": "`odradek doctor` says what is wrong with the cluster",
}

app = typer.Typer(
    name="odradek",
    help="A Kafka-compatible cluster, and a hand for any other. Each command explains itself with --help.",
    **{**_SETTINGS, "add_completion": True},
)
app.command("up", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(
    cluster.up
)
app.command()(cluster.down)
app.command()(cluster.status)
app.command()(produce.produce)
app.command()(consume.consume)
app.command()(doctor.doctor)
app.command()(export.export)
app.command()(mirror.mirror)
app.command()(sql.sql)
app.command()(timeline.timeline)
app.command()(simulate.simulate)
for _name, _room, _help in (
    ("topic", topic, "Topics: list, create, describe, alter, delete, add-partitions."),
    ("group", group, "Consumer groups: list, describe, reset-offsets, delete."),
    ("config", config, "Configs of topics and brokers: get, set."),
    ("txn", txn, "Transactions: list, describe, abort."),
    ("log", log, "Files of a partition: dump."),
    ("chaos", chaos, "Hurt a cluster of this machine, and see what becomes of it."),
):
    _part = typer.Typer(help=_help, **_SETTINGS)
    _part.callback()(lambda: None)  # else a part with one command would be that command
    for _command, _function in _room.COMMANDS.items():
        _part.command(_command)(_function)
    app.add_typer(_part, name=_name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    from model.errors import ConfigError, KafkaError, OdradekError

    try:
        with cluster.found_by_its_folder():
            given = None if arguments is None else list(arguments)
            result = app(args=given, prog_name="odradek", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Failed as failure:
        return _fail(str(failure), failure.remedy, failure.code)
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except _UsageError as mistake:
        context = getattr(mistake, "ctx", None)
        if type(mistake).__name__ == "NoArgsIsHelpError":
            print(mistake.format_message())
            return MISTAKE
        where = context.command_path if context is not None else "odradek"
        return _fail(_one_line(mistake.format_message()), f"`{where} --help` explains", MISTAKE)
    except _ClickException as mistake:
        return _fail(_one_line(mistake.format_message()), "", FAILED)
    except ConfigError as mistake:
        return _fail(_one_line(str(mistake)), "", MISTAKE)
    except KafkaError as error:
        name = error.code.name
        return _fail(_one_line(str(error)), _REMEDIES.get(name, ""), FAILED)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer's way to end then; the reader has enough
            # nothing may be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
        return end.code if isinstance(end.code, int) else FAILED
    except OdradekError as error:
        return _fail(_one_line(str(error)), "", FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", "", FAILED)
    except Exception as error:  # a bug of ours; the trace for those who want it
        if os.environ.get("ODRADEK_TRACEBACK"):
            raise
        return _fail(f"{type(error).__name__}: {_one_line(str(error))}", "ODRADEK_TRACEBACK=1 shows where", FAILED)


def _fail(what: str, remedy: str, code: int) -> int:
    print(f"odradek: {what}" + (f" ({remedy})" if remedy else ""), file=sys.stderr)
    return code


def _one_line(words: str) -> str:
    return " ".join(words.split())
