"""The command line of the suite."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .digests import HASHES
from .outcome import Outcome, Verdict
from .plan import Plan, Profile
from .runner import CannotRunError, collect, run
from .writers import WRITERS

DESCRIPTION = """\
Checks any registry against the OCI distribution specification, over HTTP alone.

Each check has a name, `section/rule[values]`, and a level:
  MUST, SHOULD  what the specification demands, in its own words of obligation
  TRAP          not written there, but real clients break on it
A failure prints what was sent, what came and what was expected. A check is skipped, with the reason, when the
registry says that it lacks something which the specification lets it lack (405 to a DELETE, for example).

The suite pushes a few hundred MiB into repositories of its own below --repo-prefix and leaves them there."""

EXAMPLES = """\
examples:
  python -m conformance.oci_suite --url http://127.0.0.1:5000
  python -m conformance.oci_suite --url http://127.0.0.1:5000 --profile dev --algorithms sha256,sha512,blake3
  python -m conformance.oci_suite --url http://127.0.0.1:5000 -k '^discovery/referrers' --verbose
  python -m conformance.oci_suite --url https://registry.example --header 'Authorization: Basic dXNlcjpwYXNz'
  python -m conformance.oci_suite --list -k chunked

exit status: 0 all passed (skips allowed), 1 something failed, 2 could not run"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m conformance.oci_suite",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--url", metavar="URL", help="the registry, http://HOST:PORT (needed unless --list)")
    made.add_argument(
        "--profile",
        choices=[profile.value for profile in Profile],
        default=Profile.STABLE.value,
        help="1.1: the release 1.1.1; dev: also the settled parts of the main branch (default: %(default)s)",
    )
    made.add_argument(
        "--algorithms",
        default="sha256,sha512",
        type=_algorithms,
        metavar="A,B",
        help=f"digest algorithms the registry is to support, of {', '.join(HASHES)} (default: sha256,sha512)",
    )
    made.add_argument("--repo-prefix", default="conformance", metavar="NAME", help="(default: %(default)s)")
    made.add_argument(
        "--header",
        action="append",
        default=[],
        type=_header,
        metavar="'NAME: VALUE'",
        help="send this with every request; may be repeated",
    )
    made.add_argument(
        "-k", dest="pattern", metavar="PATTERN", help="only checks whose name this expression finds"
    )
    made.add_argument(
        "--jobs", type=int, default=4, metavar="N", help="checks tried at once (default: %(default)s)"
    )
    made.add_argument("--list", action="store_true", help="print the checks and stop")
    made.add_argument("--verbose", action="store_true", help="print passes and skips too")
    for name in WRITERS:
        made.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write the report as {name}")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; the exit status."""
    options = parser().parse_args(arguments)
    headers = dict(options.header)
    plan = Plan(
        options.url or "", Profile(options.profile), options.algorithms, options.repo_prefix, options.pattern
    )
    if options.list:
        for case in collect(plan):
            print(f"{case.level:6} {case.name}  ({case.rule.endpoint}: {case.rule.says})")
        return 0
    if not options.url:
        print("--url is needed; --help tells more", file=sys.stderr)
        return 2

    def tell(outcome: Outcome) -> None:
        if options.verbose or outcome.verdict is Verdict.FAILED:
            print("\n".join(outcome.lines()), flush=True)

    try:
        report = run(
            plan.url,
            plan.profile,
            algorithms=plan.algorithms,
            repo_prefix=plan.repo_prefix,
            pattern=plan.pattern,
            headers=headers,
            jobs=options.jobs,
            told=tell,
        )
    except CannotRunError as problem:
        print(problem, file=sys.stderr)
        return 2
    for name, write in WRITERS.items():
        path: Path | None = getattr(options, name)
        if path is not None:
            path.write_text(write(report), encoding="utf-8")
    print(report.summary())
    if not report.outcomes:
        print(f"no check's name fits {options.pattern!r}", file=sys.stderr)
        return 2
    return 1 if report.failed else 0


def _algorithms(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = [name for name in chosen if name not in HASHES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(HASHES)}")
    return chosen


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("a header is 'NAME: VALUE'")
    return name.strip(), value.strip()
