"""Settings as command line options, for commands that open the store."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from registry.server import settings
from registry.server.cli.console import SETTINGS, CommandError
from registry.server.settings_parsing import SettingsError


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str] | None = None) -> None:
    """Add `--config` and the options of the settings `names` (keys or whole groups; all when None)."""
    wanted = None if names is None else set(names)
    listed = parser.add_argument_group(
        SETTINGS, "each is also a variable and a line of the settings file: see `artifact-store settings`"
    )
    listed.add_argument(
        "--config", metavar="FILE", help=f"TOML file (default: {settings.FILE_NAME} in the data folder)"
    )
    for option in settings.options():
        if wanted is None or wanted & {option.key, option.group}:
            text = f"{option.reason} Default: {option.render(option.default)}."
            _add(listed, option, text.replace("%", "%%"))


def _add(listed: argparse._ArgumentGroup, option: settings.Option, text: str) -> None:
    if isinstance(option.default, bool):
        # `--behind-proxy` alone means true; `--log-access false` says no.
        listed.add_argument(
            option.flag, dest=option.dest, nargs="?", const="true", metavar=option.kind.metavar, help=text
        )
    else:
        listed.add_argument(option.flag, dest=option.dest, metavar=option.kind.metavar, help=text)


def load_settings(args: argparse.Namespace) -> settings.Loaded:
    """Settings by these arguments, the environment and the file. Raises CommandError with a sentence."""
    try:
        return settings.load(vars(args))
    except SettingsError as error:
        raise CommandError(str(error)) from None
