"""What the commands share that look after a store on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from registry.server.cli.console import CommandError
from registry.server.cli.options import load_settings
from registry.server.folder import database_of
from registry.server.settings import Settings

_PAUSE = 0.2


def existing(args: argparse.Namespace) -> Settings:
    """The settings, of a store that is there. Raises CommandError: such a command makes none by itself."""
    settings = load_settings(args).settings
    database = database_of(settings)
    if not isinstance(database, str) and not database.exists():
        raise CommandError(
            f"{settings.server.data} holds no store; name the data folder with --data, or the database with "
            "--database"
        )
    return settings


def show_count(*, quiet: bool) -> Callable[[str], None]:
    """A line of progress on a terminal's stderr that is rewritten a few times a second."""
    if quiet or not sys.stderr.isatty():
        return lambda _text: None
    shown = 0.0

    def show(text: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _PAUSE:
            shown = now
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()

    return show
