"""What became of each check, and of all together."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .plan import Level, Plan


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """One check's end. `sent`, `came`, `expected` tell a failure, `reason` a skip."""

    name: str
    section: str
    endpoint: str
    level: Level
    algorithm: str  # "" where it is about none in particular
    says: str
    verdict: Verdict
    seconds: float
    sent: str = ""
    came: str = ""
    expected: str = ""
    reason: str = ""

    def lines(self) -> list[str]:
        """The outcome as a person reads it."""
        where = f"{self.level}; {self.section}, {self.endpoint}"
        head = f"{self.verdict.upper():7} {self.name}  ({where}: {self.says})"
        if self.verdict is Verdict.SKIPPED:
            return [head, f"        because  {self.reason}"]
        if self.verdict is Verdict.FAILED:
            told = (("sent", self.sent), ("came", self.came), ("expected", self.expected))
            return [head, *(f"        {name:9}{text}" for name, text in told)]
        return [head]


@dataclass(frozen=True)
class Report:
    """All outcomes of a run, in the order of the checks."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    seconds: float

    def of(self, verdict: Verdict, within: Iterable[Outcome] | None = None) -> list[Outcome]:
        """The outcomes with this verdict."""
        return [outcome for outcome in (within or self.outcomes) if outcome.verdict is verdict]

    @property
    def failed(self) -> list[Outcome]:
        """The checks that were not satisfied."""
        return self.of(Verdict.FAILED)

    @property
    def passed(self) -> list[Outcome]:
        """The checks that were satisfied."""
        return self.of(Verdict.PASSED)

    @property
    def skipped(self) -> list[Outcome]:
        """The checks of what the registry says it lacks and may lack."""
        return self.of(Verdict.SKIPPED)

    def summary(self) -> str:
        """One line with the counts, failures by level."""
        levels = ", ".join(
            f"{sum(outcome.level is level for outcome in self.failed)} {level}" for level in Level
        )
        counts = (
            f"{len(self.passed)} passed, {len(self.failed)} failed ({levels}), {len(self.skipped)} skipped"
        )
        asked = f"profile {self.plan.profile}, {', '.join(self.plan.algorithms)}"
        return f"{counts} in {self.seconds:.1f} s; {asked}"
