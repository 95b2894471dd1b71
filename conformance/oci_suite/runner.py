"""Runs the checks against a registry."""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .bench import Bench
from .checks import RULES
from .expect import MismatchError
from .outcome import Outcome, Report, Verdict
from .plan import Plan, Profile
from .rule import Case, Skip
from .wire import Wire

#: Sections tried when nothing else runs: lists of the whole registry, and what brings its own crowd.
ALONE = ("catalog", "concurrency")


class CannotRunError(Exception):
    """No registry answers at the address, or it wants credentials; nothing was checked."""


def collect(plan: Plan) -> list[Case]:
    """The checks of a run, those only whose name fits the plan's pattern."""
    pattern = re.compile(plan.pattern or "")
    return [case for rule in RULES for case in rule.cases(plan) if pattern.search(case.name)]


def run(
    url: str,
    profile: str = Profile.STABLE,
    *,
    algorithms: Sequence[str] = ("sha256", "sha512"),
    repo_prefix: str = "conformance",
    pattern: str | None = None,
    headers: Mapping[str, str] | None = None,
    jobs: int = 4,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Report:
    """Check a registry, in repositories under `repo_prefix` made for this run; raises CannotRunError.

    `jobs` checks are tried at once, each in repositories of its own. `told` hears each outcome, in the order
    of the checks.
    """
    plan = Plan(url, Profile(profile), tuple(algorithms), repo_prefix, pattern, headers or {}, jobs)
    start = time.monotonic()
    with Wire(url, plan.headers) as wire:
        try:
            answer = wire.send("GET", "/v2/")
        except MismatchError as problem:
            raise CannotRunError(f"{url} does not answer: {problem.came}") from problem
        if answer.status in (401, 403):
            raise CannotRunError(f"{url} wants credentials ({answer.status}); give them as a header")
        bench = Bench(plan, wire, uuid.uuid4().hex[:12])
        outcomes = []
        for outcome in _outcomes(collect(plan), bench):
            outcomes.append(outcome)
            told(outcome)
    return Report(plan, tuple(outcomes), time.monotonic() - start)


def as_edition(report: Report, profile: Profile) -> Report:
    """The report that a run of another profile would have been, taken from a run of `dev`.

    No check behaves by profile: an edition only chooses the checks and says how binding each is, and `dev`
    has all those of the releases.
    """
    plan = replace(report.plan, profile=profile)
    levels = {case.name: case.level for case in collect(plan)}
    outcomes = (replace(o, level=levels[o.name]) for o in report.outcomes if o.name in levels)
    return Report(plan, tuple(outcomes), report.seconds)


def _outcomes(cases: Sequence[Case], bench: Bench) -> Iterator[Outcome]:
    """What becomes of each: those that may first, `jobs` at once, then the others one by one."""
    together = [case for case in cases if case.rule.section not in ALONE]
    alone = [case for case in cases if case.rule.section in ALONE]
    pool = ThreadPoolExecutor(bench.plan.jobs)
    try:
        yield from pool.map(lambda case: _try(case, bench), together)
    finally:
        pool.shutdown(cancel_futures=True)
    yield from (_try(case, bench) for case in alone)


def _try(case: Case, bench: Bench) -> Outcome:
    start = time.monotonic()

    def ended(
        verdict: Verdict, sent: str = "", came: str = "", expected: str = "", reason: str = ""
    ) -> Outcome:
        rule, seconds = case.rule, time.monotonic() - start
        return Outcome(
            case.name,
            rule.section,
            rule.endpoint,
            case.level,
            case.algorithm,
            rule.says,
            verdict,
            seconds,
            sent,
            came,
            expected,
            reason,
        )

    try:
        case.run(bench)
    except MismatchError as problem:
        return ended(Verdict.FAILED, problem.sent, problem.came, problem.expected)
    except Skip as skip:
        return ended(Verdict.SKIPPED, reason=str(skip))
    return ended(Verdict.PASSED)
