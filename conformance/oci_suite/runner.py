"""Runs the checks against a registry."""

import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from .bench import Bench
from .checks import RULES
from .expect import MismatchError
from .outcome import Outcome, Report, Verdict
from .plan import Plan, Profile
from .rule import Case, Skip
from .wire import Wire


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
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Report:
    """Check a registry, in repositories under `repo_prefix` made for this run; raises CannotRunError.

    `told` hears each outcome as it comes.
    """
    plan = Plan(url, Profile(profile), tuple(algorithms), repo_prefix, pattern, headers or {})
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
        for case in collect(plan):
            outcomes.append(_try(case, bench))
            told(outcomes[-1])
    return Report(plan, tuple(outcomes), time.monotonic() - start)


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
