"""How every command speaks: exit codes, one line for an error, one JSON document with `--json`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from registry.contract.errors import StoreError

#: Done, and nothing found wrong.
EXIT_OK = 0

#: The command ran and its answer is no: a fault found, a package that is not there, a transfer refused.
EXIT_FAULT = 1

#: The command could not run: bad usage, bad settings, an environment that is not fit.
EXIT_CANNOT_RUN = 2


#: Under what title `--help` lists settings. They are dozens, so the line of usage says this and no more.
SETTINGS = "settings"


class CommandError(Exception):
    """Ends a command with a sentence for its user. `code` is one of the exit codes above."""

    def __init__(self, message: str, code: int = EXIT_CANNOT_RUN) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def print_json(value: Any) -> None:
    """Write one JSON document and a line feed to stdout, flushed, so that a pipe's reader sees it at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_error(command: str, message: str, *, as_json: bool) -> None:
    """Say on stderr why `command` ended; with `as_json` also as `{"error": ...}` on stdout."""
    sys.stderr.write(f"artifact-store {command}: {message}\n")
    if as_json:
        print_json({"error": message})


def explain_store_error(error: StoreError) -> str:
    """Its message, and what the system said of a connection, which clients of a server are not told."""
    cause = error.__cause__
    # A TimeoutError has nothing to say.
    if isinstance(cause, OSError) and str(cause):
        return f"{error.message} ({cause.strerror or cause})"
    return error.message


def explain_os_error(error: OSError) -> str:
    """The file and the system's word for what is wrong with it."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def in_bytes(count: float) -> str:
    """`count` bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def add_quiet(parser: argparse._ActionsContainer) -> None:
    """Add `--quiet`, the same for every command that shows progress."""
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
