"""The program `artifact-store`: one module a command, imported when its turn comes.

A command is a module of this package with three names:

- `HELP`: text whose first line is the summary in the list of commands, in lower case and without a period;
  the rest, with examples, is what `artifact-store COMMAND --help` prints above the options.
- `configure(parser)`: adds its arguments to an `argparse.ArgumentParser`. `--json` is there already, as
  `args.json`; with it the command writes one JSON document on stdout (`console.print_json`).
- `run(args) -> int`: does it, returns an exit code; raises `console.CommandError` to end with a sentence.

A new command adds its name to COMMANDS. Modules import what is heavy inside `run`, so that `--help` and the
start of the server stay quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

from registry.contract.errors import StoreError
from registry.server.cli.console import (
    EXIT_CANNOT_RUN,
    SETTINGS,
    CommandError,
    explain_os_error,
    explain_store_error,
    print_error,
)

#: The commands, in the order of `artifact-store --help`; each is the module of that name in this package,
#: with `_` for `-`.
COMMANDS: tuple[str, ...] = (
    "serve",
    "push",
    "pull",
    "ls",
    "inspect",
    "restore",
    "events",
    "followers",
    "gc",
    "pack",
    "fsck",
    "rebuild",
    "backup",
    "recover",
    "keys",
    "locations",
    "tiers",
    "migrate",
    "migrate-store",
    "doctor",
    "settings",
)

_DESCRIPTION = """\
A content-addressed artifact registry: OCI distribution (/v2/) and a native REST API (/api/v1/) on one store.

examples:
  artifact-store serve --data ./data            run a registry on 127.0.0.1:5000
  artifact-store push reports:today out/        files into a registry, and back with pull
  artifact-store doctor --data ./data           find out what keeps it from running
  artifact-store settings                       what can be set, and what is set
"""

_EPILOG = """\
exit codes: 0 done; 1 done, and the answer is no (a fault found, nothing there); 2 could not run.
`artifact-store COMMAND --help` explains each command, with examples.
"""

#: What a shell reports for a process ended by SIGINT: 128 + 2.
_INTERRUPTED = 130


class Command(Protocol):
    """What a command's module offers."""

    HELP: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help whose line of usage tells what is a command's own, and of settings only that they are there."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        every = list(actions)
        own = [action for action in every if getattr(action, "container").title != SETTINGS]  # noqa: B009
        if len(own) < len(every):
            own.append(argparse.Action([], SETTINGS, nargs="?", metavar=SETTINGS.upper()))
        super().add_usage(usage, own, groups, prefix)


def load(name: str) -> Command:
    """The command of that name."""
    return cast(Command, importlib.import_module(f"registry.server.cli.{name.replace('-', '_')}"))


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of `only` one, whose module alone is then imported."""
    parser = argparse.ArgumentParser(
        prog="artifact-store",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in COMMANDS if only is None else (only,):
        command = load(name)
        child = commands.add_parser(
            name,
            help=command.HELP.splitlines()[0],
            description=command.HELP.strip(),
            epilog="exit codes: 0 done; 1 the answer is no; 2 could not run.",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        child.add_argument("--json", action="store_true", help="answer with one JSON document on stdout")
        command.configure(child)
        child.set_defaults(parser=child)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is without the program's name. Returns the exit code (see the epilog)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    only = arguments[0] if arguments and arguments[0] in COMMANDS else None
    parser = build_parser(only)
    try:
        args, strange = parser.parse_known_args(arguments)
        if strange:
            # argparse's own words for it would come with the usage of the whole program.
            getattr(args, "parser", parser).error(f"unrecognized arguments: {' '.join(strange)}")
    except SystemExit as end:  # argparse has printed help (0) or what is wrong with the usage (2)
        return end.code if isinstance(end.code, int) else EXIT_CANNOT_RUN
    if args.version:
        from importlib.metadata import version

        print(f"artifact-store {version('artifact-store')}")
        return 0
    if args.command is None:
        parser.print_help(sys.stderr)
        return EXIT_CANNOT_RUN
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        return load(args.command).run(args)
    except CommandError as error:
        print_error(args.command, error.message, as_json=args.json)
        return error.code
    except StoreError as error:
        print_error(args.command, explain_store_error(error), as_json=args.json)
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`| head`): nothing more can be said, and that is no fault. The
        # interpreter's own flush at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print_error(args.command, explain_os_error(error), as_json=args.json)
        return EXIT_CANNOT_RUN
