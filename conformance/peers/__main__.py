"""Measure this registry beside others: `python -m conformance.peers [--smoke] [--only WORK …] [--rounds N]`.

The registries take turns within each round, on local storage and loopback. Those that are not here are left
out: distribution and crane's come with the pinned clients, zot is taken from PATH. What was measured stays in
the results' file, so that a run that was broken off goes on; --fresh begins anew. Writes `report.md` and
`ratios.svg` beside it, and prints the table.
"""

import argparse
import datetime
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from conformance.clients import debian, golang
from conformance.peers import plot, results
from conformance.peers.load import LoadError
from conformance.peers.material import material
from conformance.peers.peers import PEERS, Peer
from conformance.peers.results import Results
from conformance.peers.work import SMOKE, WORK, Scale, figures
from conformance.settings import TOOLS


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; answers its exit status: 1 when a registry failed at its work."""
    works = [work.name for work in WORK]
    parser = argparse.ArgumentParser(
        prog="python -m conformance.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="little of everything, one round")
    told = ", ".join(works)
    parser.add_argument("--only", nargs="+", choices=works, default=works, metavar="WORK", help=told)
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="these registries alone")
    parser.add_argument("--rounds", type=int, help="of each work with each registry (3; smoke 1)")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no more work after so long (60)")
    parser.add_argument("--into", type=Path, default=TOOLS / "bench", help="the folder of the results")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options = parser.parse_args(arguments)
    missing = [name for name, here in _needs().items() if not here]
    if missing:
        print(f"missing: {', '.join(missing)} (python -m conformance.clients.install)", file=sys.stderr)
        return 2
    scale = SMOKE if options.smoke else Scale()
    rounds = options.rounds or (1 if options.smoke else 3)
    options.into.mkdir(parents=True, exist_ok=True)
    file = options.into / ("smoke.json" if options.smoke else "results.json")
    if options.fresh:
        file.unlink(missing_ok=True)
    kept = Results.load(file, {"scale": asdict(scale), **_machine()})
    peers = [peer for peer in PEERS if _chosen(peer, options.peers)]
    failed = _measure(kept, peers, options.only, rounds, scale, time.monotonic() + options.minutes * 60)
    _report(kept, options.into)
    return int(failed)


def _measure(
    kept: Results, peers: list[Peer], only: list[str], rounds: int, scale: Scale, until: float
) -> bool:
    failed = False
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        files = material(Path(folder), scale.big, scale.part, scale.parts)
        for number in range(rounds):
            for work in (work for work in WORK if work.name in only):
                # Each round begins with another, so that none is always the one after the same.
                for peer in (*peers[number % len(peers) :], *peers[: number % len(peers)]):
                    if kept.has(work.name, peer.name, number) or time.monotonic() > until:
                        continue
                    begun = time.monotonic()
                    place = Path(folder) / "store"
                    try:
                        found = figures(work, peer, place, scale, files)
                    except (LoadError, RuntimeError) as error:
                        print(f"{work.name:10} {peer.name}: {error}", file=sys.stderr, flush=True)
                        failed = failed or peer.ours
                        continue
                    finally:
                        shutil.rmtree(place, ignore_errors=True)
                    by_row: dict[str, dict[str, float]] = {}
                    for (row, figure), value in found.items():
                        by_row.setdefault(row, {})[figure] = value
                    kept.add(work.name, peer.name, number, by_row)
                    took = time.monotonic() - begun
                    print(f"{work.name:10} round {number + 1} {peer.name}: {took:.0f} s", file=sys.stderr)
    return failed


def _report(kept: Results, into: Path) -> None:
    ours = [peer.name for peer in PEERS if peer.ours]
    others = [peer.name for peer in PEERS if not peer.ours]
    table = results.markdown(kept, ours[0], others)
    about = ", ".join(f"{name} {value}" for name, value in kept.about.items() if name != "scale")
    durable = "\n".join(f"- {peer.name}: {peer.durability}" for peer in PEERS)
    text = f"{about}\n\nWhat an answer to a push means:\n{durable}\n\n{table}"
    (into / "report.md").write_text(text)
    picture = plot.svg(results.lines(kept, ours[0], others), "ours against the best peer")
    (into / "ratios.svg").write_text(picture)
    print(text)


def _needs() -> dict[str, bool]:
    return {
        "wrk": debian.find("wrk") is not None,
        "load-driver": (golang.BIN / "load-driver").exists(),
        "oras-driver": (golang.BIN / "oras-driver").exists(),
        "curl": shutil.which("curl") is not None,
    }


def _chosen(peer: Peer, names: list[str] | None) -> bool:
    return peer.find() is not None and (names is None or peer.name in names)


def _machine() -> dict[str, object]:
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


if __name__ == "__main__":
    sys.exit(main())
