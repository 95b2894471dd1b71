"""What the benchmarks share: their command line, and figures as JSON and as Markdown tables."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Rows of one table; all have the same keys, which are the columns.
Table = Sequence[Mapping[str, Any]]


def parser_for(page: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the program's docstring, as it stands."""
    return argparse.ArgumentParser(description=page, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_output(parser: argparse.ArgumentParser) -> None:
    """The options that `show` reads."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON as well")


def show(args: argparse.Namespace, name: str, tables: Mapping[str, Table]) -> None:
    """Print the tables as Markdown, and write them as JSON where that was asked for."""
    document = {"benchmark": name, "machine": machine(), "tables": tables}
    if args.json:
        args.json.write_text(json.dumps(document, indent=2) + "\n")
    print(markdown(tables))


def machine() -> dict[str, Any]:
    """Enough to judge figures by. `load` is the average of the last minute."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
    }


def markdown(tables: Mapping[str, Table]) -> str:
    """Each table under its name."""
    found = machine()
    about = f"{found['date']}, {found['cores']} cores, Python {found['python']}, load {found['load']}"
    parts = [about]
    for name, rows in tables.items():
        if not rows:
            continue
        columns = list(rows[0])
        lines = [columns, ["---"] * len(columns), *([_cell(row[key]) for key in columns] for row in rows)]
        parts.append(f"**{name}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
