"""A rule of the specification as a check; one rule is a case for each combination of its axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .plan import Level, Plan, Profile

if TYPE_CHECKING:
    from .bench import Bench

Body = Callable[
    ..., None
]  # (bench, *one value of each axis); returns when satisfied, raises MismatchError or Skip
Axis = Callable[[Plan], Sequence[tuple[str, Any]]]  # the (name, value) pairs a rule is repeated over


class Skip(Exception):  # noqa: N818 - no error
    """The registry says that it lacks something which the specification lets it lack."""


@dataclass(frozen=True)
class Rule:
    """One requirement: where it stands, how binding it is, what it says, and how to try it."""

    section: str
    endpoint: str
    level: Level
    says: str
    name: str
    body: Body
    axes: tuple[Axis, ...]
    dev_level: Level
    since: Profile

    def cases(self, plan: Plan) -> Iterator[Case]:
        """This rule once for every combination of its axes; nothing if the profile does not have it yet."""
        if self.since is Profile.DEV and plan.profile is not Profile.DEV:
            return
        level = self.dev_level if plan.profile is Profile.DEV else self.level
        for combination in itertools.product(*(axis(plan) for axis in self.axes)):
            names = ",".join(name for name, _ in combination)
            suffix = f"[{names}]" if names else ""
            values = tuple(value for _, value in combination)
            yield Case(f"{self.section}/{self.name}{suffix}", level, self, values)


@dataclass(frozen=True)
class Case:
    """A rule with values for its axes: what is run, and named, in reports."""

    name: str
    level: Level
    rule: Rule
    values: tuple[Any, ...]

    @property
    def algorithm(self) -> str:
        """The digest algorithm it is about; "" where any would do."""
        pairs = zip(self.rule.axes, self.values, strict=True)
        return next((str(value) for axis, value in pairs if axis is algorithms), "")

    def run(self, bench: Bench) -> None:
        """Try it; raises MismatchError (not satisfied) or Skip."""
        self.rule.body(bench, *self.values)


def rule(
    section: str,
    endpoint: str,
    level: Level,
    says: str,
    *axes: Axis,
    dev: Level | None = None,
    since: Profile = Profile.STABLE,
) -> Callable[[Body], Rule]:
    """Make a function a rule. `dev` is the level in profile dev if another; `since` the first profile."""

    def wrap(body: Body) -> Rule:
        return Rule(section, endpoint, level, says, body.__name__, body, axes, dev or level, since)

    return wrap


def algorithms(plan: Plan) -> Sequence[tuple[str, Any]]:
    """The axis of digest algorithms the run was asked for."""
    return [(name, name) for name in plan.algorithms]


def each(*values: str) -> Axis:
    """An axis of plain words, each its own name."""
    return lambda _plan: [(value, value) for value in values]


def named(values: Mapping[str, Any]) -> Axis:
    """An axis of named values."""
    return lambda _plan: list(values.items())
