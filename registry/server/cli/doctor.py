"""`artifact-store doctor`: what keeps a server from working here, and what slows it."""

from __future__ import annotations

import argparse

from registry.server.cli.console import EXIT_FAULT, EXIT_OK, print_json
from registry.server.cli.options import add_settings, load_settings

HELP = """\
look for what keeps a server from working

Checks Python and its packages, the data folder with its lock, format and permissions, disk space and the
speed of fsync, the address, the database and its schema, the bucket, the receivers of events, and the clock;
of a database server also whether it keeps what it acknowledges. It changes nothing of the store. Give it the
same settings as `serve`. Trouble makes the exit code 1; a notice does not.

examples:
  artifact-store doctor --data ./data
  artifact-store doctor --config /etc/artifact-store.toml --json
"""

_MARKS = {"ok": "ok     ", "notice": "notice ", "trouble": "TROUBLE"}


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    from registry.server.doctor import examine

    findings = []
    for finding in examine(load_settings(args).settings):
        findings.append(finding)
        if not args.json:
            print(f"{_MARKS[finding.state]}  {finding.name:<12}  {finding.text}", flush=True)
    troubles = sum(finding.state == "trouble" for finding in findings)
    if args.json:
        print_json(
            {
                "ok": troubles == 0,
                "findings": [
                    {"name": finding.name, "state": finding.state, "text": finding.text}
                    for finding in findings
                ],
            }
        )
    else:
        print("nothing is in the way" if not troubles else f"{troubles} to repair before the server can work")
    return EXIT_FAULT if troubles else EXIT_OK
