"""`artifact-store settings`: what can be set, what is set, and where it came from."""

from __future__ import annotations

import argparse

from registry.server.cli.console import print_json
from registry.server.cli.options import add_settings, load_settings
from registry.server.settings_table import as_json, as_markdown, as_text

HELP = """\
show every setting, its value and where it comes from

A value comes from the first that has it: flag, environment variable, TOML file, default. Sizes are written
as 16 MiB, durations as 90 s, 15 min, 24 h. Passwords in URLs are not shown.

examples:
  artifact-store settings                              what this folder's server would use
  artifact-store settings --config /etc/artifact-store.toml --workers 4
  artifact-store settings --markdown                   the table of README.md
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="print the reference table instead of values")
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    if args.markdown:
        print(as_markdown(), end="")
        return 0
    loaded = load_settings(args)
    if args.json:
        print_json(as_json(loaded))
    else:
        print(as_text(loaded), end="")
    return 0
