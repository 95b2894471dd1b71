"""`make soak`: the fault table at length. See tests/faults/README.md.

    python -m tests.faults.soak [--cycles 300] [--minutes 10] [--power 3] [--outages 1] [--seed N] [--json F]

Prints what it does as it goes and a summary in the end; a failure names its seed. Exit code 0: all held;
1: something did not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dataplane.power.story import STORIES
from tests.dataplane.power.trying import try_story
from tests.faults.everything import run_everything
from tests.faults.kills import run_cycles
from tests.faults.upgrades import run_upgrades
from tests.replicas.outage_run import check, run_outage
from tests.replicas.outages import OUTAGES, wired_cluster

#: Kills on one store, before a new one is begun.
_CYCLES = 30


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def kills(seed: int, cycles: int, folder: Path) -> dict[str, Any]:
    """So many kills, half of them of servers with two workers."""
    told: dict[str, Any] = {}
    for turn, first in enumerate(range(0, cycles, _CYCLES)):
        workers, seeds = 1 + turn % 2, range(seed + first, seed + min(first + _CYCLES, cycles))
        store = folder / f"kills-{turn}"
        store.mkdir()
        for name, count in run_cycles(store, seeds, workers).told().items():
            told[name] = told.get(name, 0) + count
        say(f"kills: {told}")
    return told


def upgrades(seed: int, cycles: int, folder: Path) -> dict[str, Any]:
    return {"kills": run_upgrades(folder, range(seed, seed + cycles))}


def power(seed: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Every moment of every story."""
    told = {"moments": 0, "states": 0}
    shared = Path("/dev/shm")
    for name in STORIES:
        with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else folder) as memory:
            tried = asyncio.run(try_story(name, Path(memory), seed=seed, rounds=rounds))
        told["moments"] += tried.changes
        told["states"] += tried.states
        say(f"power loss: {name}, {tried.changes} moments, {tried.states} states")
    return told


def everything(seed: int, minutes: float, folder: Path) -> dict[str, Any]:
    store = folder / "everything"
    store.mkdir()
    done = run_everything(store, minutes * 60, seed)
    if done.errors:
        raise AssertionError(f"{len(done.errors)} errors, the first of them: {done.errors[0]}")
    return done.told()


def outages(seed: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Each outage of replicas and of what they stand on, as long as it lasts at length."""
    told: dict[str, Any] = {}
    try:
        with wired_cluster(folder / "replicas") as wired:
            for turn in range(rounds):
                for outage in OUTAGES:
                    figures = run_outage(wired, outage, outage.seconds, seed + turn).told()
                    told[f"{turn + 1}: {outage.name}"] = figures
                    say(f"{outage.name}: {figures}")
            wired.it.heal()
            told["events"] = check(wired)
    except pytest.skip.Exception as missing:
        raise RuntimeError(str(missing)) from None
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cycles", type=int, default=300, help="kills of a server at work; 0 for none")
    parser.add_argument("--minutes", type=float, default=10, help="of everything at once; 0 for none")
    parser.add_argument(
        "--power", type=int, default=3, help="turns at each moment of a power loss; 0 for none"
    )
    parser.add_argument(
        "--outages", type=int, default=1, help="rounds of outages under three replicas; 0 for none"
    )
    parser.add_argument("--seed", type=int, default=None, help="by default another each time")
    parser.add_argument("--json", type=Path, help="write the summary there as well")
    args = parser.parse_args()
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    say(f"seed {seed}")
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {}
    if args.power:
        parts["power loss"] = lambda folder: power(seed, args.power, folder)
    if args.cycles:
        parts["kills in upgrades"] = lambda folder: upgrades(seed, max(1, args.cycles // 10), folder)
        parts["kills"] = lambda folder: kills(seed, args.cycles, folder)
    if args.minutes:
        parts["everything at once"] = lambda folder: everything(seed, args.minutes, folder)
    if args.outages:
        parts["outages"] = lambda folder: outages(seed, args.outages, folder)
    summary: dict[str, Any] = {"seed": seed}
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        for name, part in parts.items():
            say(name)
            try:
                summary[name] = part(Path(folder))
            except Exception as error:
                traceback.print_exc()
                summary[name] = {"failed": str(error) or type(error).__name__}
            say(f"{name}: {summary[name]}")
    failed = [name for name in parts if "failed" in summary[name]]
    text = json.dumps(summary, indent=2)
    print(text, flush=True)
    if args.json:
        args.json.write_text(text + "\n")
    print(
        f"failed: {', '.join(failed)}; --seed {seed} does the same again" if failed else "all held",
        flush=True,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
