"""Install the pinned clients: `python -m conformance.clients.install [--only NAME …] [--list] [--json]`.

Exit status 1 when a build failed, or when a client is missing and `REQUIRE=all`. Otherwise a client that
cannot be had here is told of, and no failure.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from conformance.clients import debian, golang, maven
from conformance.clients.pins import TOOLS, DebianTool, MavenTool, Tool
from conformance.settings import from_environment

State = Literal["present", "installed", "missing", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one client."""

    name: str
    origin: str
    state: State
    detail: str = ""
    seconds: float = 0.0
    optional: bool = False


def origin(tool: Tool) -> str:
    """Where the client comes from, for people."""
    if isinstance(tool, DebianTool):
        return f"package {tool.name}"
    return maven.origin(tool) if isinstance(tool, MavenTool) else golang.origin(tool)


def outcome(tool: Tool, state: State, detail: str = "", seconds: float = 0.0) -> Outcome:
    """An outcome of this client."""
    optional = isinstance(tool, MavenTool) or (isinstance(tool, DebianTool) and tool.optional)
    return Outcome(tool.name, origin(tool), state, detail, round(seconds, 1), optional)


def look(tool: Tool) -> Outcome:
    """Whether the client is here, without installing it."""
    if isinstance(tool, DebianTool):
        here = debian.is_installed(tool)
    else:
        here = maven.is_here(tool) if isinstance(tool, MavenTool) else golang.is_built(tool)
    return outcome(tool, "present" if here else "missing", "" if here else "not installed")


def install(tool: Tool) -> Outcome:
    """Install the client unless it is here at its version."""
    if look(tool).state == "present":
        return outcome(tool, "present")
    obstacle = _why_not(tool)
    if obstacle is not None:
        return outcome(tool, "missing", obstacle)
    start = time.monotonic()
    try:
        _bring(tool)
    except (golang.BuildError, debian.InstallError, maven.FetchError) as error:
        return outcome(tool, "failed", str(error), time.monotonic() - start)
    return outcome(tool, "installed", "", time.monotonic() - start)


def _why_not(tool: Tool) -> str | None:
    if isinstance(tool, DebianTool):
        return debian.why_not()
    if isinstance(tool, MavenTool):
        return maven.why_not()
    return None if golang.have_go() else "Go is not on PATH (https://go.dev/dl)"


def _bring(tool: Tool) -> None:
    if isinstance(tool, DebianTool):
        debian.install(tool)
    elif isinstance(tool, MavenTool):
        maven.fetch(tool)
    else:
        golang.build(tool)


def is_fault(result: Outcome, require_all: bool) -> bool:
    """Whether this outcome makes the run fail."""
    return result.state == "failed" or (result.state == "missing" and require_all and not result.optional)


def outcomes(tools: list[Tool], only_look: bool, say_start: bool) -> Iterator[Outcome]:
    """One outcome after the other, telling first what is about to take long."""
    for tool in tools:
        if say_start and not only_look and look(tool).state == "missing":
            print(f"{tool.name:16} installing from {origin(tool)} …", flush=True)
        yield look(tool) if only_look else install(tool)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; answers its exit status."""
    names = [tool.name for tool in TOOLS]
    parser = argparse.ArgumentParser(prog="python -m conformance.clients.install", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=str(names))
    parser.add_argument("--list", action="store_true", help="say what is here and install nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    options = parser.parse_args(arguments)
    results = []
    chosen = [tool for tool in TOOLS if tool.name in options.only]
    for result in outcomes(chosen, options.list, not options.json):
        results.append(result)
        if not options.json:
            took = f" in {result.seconds} s" if result.state == "installed" else ""
            print(f"{result.name:16} {result.state}{took} {result.detail}".rstrip(), flush=True)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    if options.list:
        return 0
    return int(any(is_fault(result, from_environment().require_all) for result in results))


if __name__ == "__main__":
    sys.exit(main())
