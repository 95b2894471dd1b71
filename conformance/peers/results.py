"""What was measured, kept after each piece of work so that a run can go on; medians, ratios, tables."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Figures of which more is better; of all others less.
_MORE = frozenset({"per_s"})


@dataclass
class Results:
    """Figures by work, peer and round; `file` is written at each `add`."""

    file: Path
    about: dict[str, Any]
    done: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, file: Path, about: dict[str, Any]) -> "Results":
        """What the file has, as far as it was measured at the same scale; else nothing."""
        if file.exists():
            found = json.loads(file.read_text())
            if found["about"]["scale"] == about["scale"]:
                return cls(file, found["about"], found["done"])
        return cls(file, about)

    def has(self, work: str, peer: str, number: int) -> bool:
        """Whether that round is there already."""
        key = (work, peer, number)
        return any((entry["work"], entry["peer"], entry["round"]) == key for entry in self.done)

    def add(self, work: str, peer: str, number: int, figures: dict[str, dict[str, float]]) -> None:
        """Keep a round's figures by row and figure."""
        self.done.append({"work": work, "peer": peer, "round": number, "figures": figures})
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps({"about": self.about, "done": self.done}, indent=1) + "\n")
        written.replace(self.file)

    def values(self, row: str, figure: str, peer: str) -> list[float]:
        """Of all rounds."""
        rounds = (entry["figures"] for entry in self.done if entry["peer"] == peer)
        return [found[row][figure] for found in rounds if figure in found.get(row, {})]

    def rows(self) -> list[tuple[str, str]]:
        """Every row and figure, in the order of the first measurement."""
        return list(
            dict.fromkeys(
                (row, figure)
                for entry in self.done
                for row, found in entry["figures"].items()
                for figure in found
            )
        )


@dataclass(frozen=True)
class Line:
    """One line of the table: medians by peer, and ours against the best of the others."""

    row: str
    figure: str
    values: dict[str, list[float]]
    ratio: float | None


def lines(results: Results, ours: str, others: Sequence[str]) -> list[Line]:
    """The table's lines. `ours` and `others` are names of peers; the ratio is ours / best of the others."""
    found = []
    for row, figure in results.rows():
        values = {name: results.values(row, figure, name) for name in _peers(results)}
        values = {name: measured for name, measured in values.items() if measured}
        medians = {name: statistics.median(measured) for name, measured in values.items()}
        rivals = [medians[name] for name in others if name in medians]
        best = (max if figure in _MORE else min)(rivals, default=None)
        ratio = medians[ours] / best if ours in medians and best else None
        found.append(Line(row, figure, values, ratio))
    return found


def markdown(results: Results, ours: str, others: Sequence[str]) -> str:
    """The lines as a table: medians with the least and the most, and the ratio."""
    names = _peers(results)
    head = ["Work", "Figure", *names, "ours / best peer"]
    parts = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for line in lines(results, ours, others):
        cells = [_cell(line.values.get(name, [])) for name in names]
        ratio = "" if line.ratio is None else f"**{_short(line.ratio)}**"
        parts.append(f"| {' | '.join([line.row, line.figure, *cells, ratio])} |")
    return "\n".join(parts) + "\n"


def _peers(results: Results) -> list[str]:
    return list(dict.fromkeys(entry["peer"] for entry in results.done))


def _cell(values: Iterable[float]) -> str:
    measured = sorted(values)
    if not measured:
        return ""
    middle = _short(statistics.median(measured))
    if len(measured) == 1:
        return middle
    return f"{middle} ({_short(measured[0])} to {_short(measured[-1])})"


def _short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
