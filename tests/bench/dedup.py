"""Bytes stored for successive versions: by this store after packing, by restic, and by keeping whole blobs.

Three inputs, in one run with the same files for all:
  releases    ten releases of a text-heavy package as tars (pip downloads them once into FOLDER)
  inserts     64 MiB of random bytes, and again with 64 single bytes inserted
  tensors     two files like safetensors, of 144 tensors in 196 MiB, of which 5% differ

For each store there is the total after the last version, and the increment: what versions after the first
added, on average. Totals have the first version in them, which nothing makes smaller when it is random: there
only the increment tells one store from another. Sizes are those of all files of a store but its lock files,
this store's index and restic's included; `objects` is this store without its index, which is made from packs.
The floor is what no store can do without: one version's random bytes, and then the bytes inserted or changed.

Needs `restic` on PATH (Debian: apt-get install restic), and the network for `releases` the first time.

examples:
  python -m tests.bench.dedup FOLDER
  python -m tests.bench.dedup FOLDER --inputs inserts,tensors --json dedup.json
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, Packing, Stage
from registry.control import UuidIdentifiers
from registry.dataplane import open_local
from tests.bench import inputs
from tests.bench.report import add_output, parser_for, show

INPUTS: dict[str, Callable[[Path], list[Path]]] = {
    "releases": inputs.releases,
    "inserts": inputs.inserts,
    "tensors": inputs.tensors,
}
_READ = 1 << 20


@dataclass
class Sizes:
    """Bytes after each version, and the CPU seconds of all of them."""

    stored: list[int] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def increment(self) -> float:
        return (self.stored[-1] - self.stored[0]) / max(len(self.stored) - 1, 1)


async def store_versions(folder: Path, versions: Sequence[Path]) -> tuple[Sizes, Sizes]:
    """Put and pack each version. The sizes of everything, and of the packs alone."""
    everything, objects = Sizes(), Sizes()
    for version in versions:
        begun = time.process_time()
        dataplane = open_local(folder)  # opened for each, so that the index is settled when it is measured
        try:
            await _put(dataplane, version)
            async for packed in dataplane.pack(Packing()):
                if packed.fault:
                    raise ValueError(packed.fault)
        finally:
            await dataplane.close()
        everything.cpu += time.process_time() - begun
        everything.stored.append(size_of(folder))
        objects.stored.append(size_of(folder / "packs") + size_of(folder / "content"))
    return everything, objects


async def _put(dataplane: DataPlane, version: Path) -> None:
    stage = Stage(DEFAULT_DOMAIN, UuidIdentifiers().new())

    async def pieces() -> Any:
        with version.open("rb") as stream:
            while piece := stream.read(_READ):
                yield piece

    await dataplane.append(stage, 0, pieces())
    await dataplane.commit(stage, None)


def restic_versions(folder: Path, versions: Sequence[Path]) -> Sizes:
    """Back each version up into a new repository, with restic's defaults. Raises CalledProcessError."""
    environment = {**os.environ, "RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(folder)}
    sizes = Sizes()

    def restic(*words: str) -> None:
        command = ["restic", "--quiet", "--no-cache", *words]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    restic("init")
    for version in versions:
        before = os.times()
        restic("backup", str(version))
        after = os.times()
        sizes.cpu += (
            after.children_user + after.children_system - before.children_user - before.children_system
        )
        sizes.stored.append(size_of(folder))
    return sizes


def size_of(folder: Path) -> int:
    """Bytes of all files, as their lengths say."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def whole(versions: Sequence[Path]) -> Sizes:
    """A store that keeps whole blobs has exactly their bytes."""
    sizes = Sizes()
    for version in versions:
        sizes.stored.append((sizes.stored or [0])[-1] + version.stat().st_size)
    return sizes


def compare(name: str, folder: Path, versions: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each store."""
    work = folder / "stores"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    ours, objects = asyncio.run(store_versions(work / "ours", versions))
    restic = restic_versions(work / "restic", versions)
    shutil.rmtree(work)
    rows = [
        row(name, "whole blobs", whole(versions), restic),
        row(name, "restic", restic, restic),
        row(name, "artifact-store", ours, restic),
        row(name, "artifact-store, objects", objects, restic),
    ]
    if name != "releases":
        first, second = versions
        changed = (
            second.stat().st_size - first.stat().st_size
            if name == "inserts"
            else inputs.changed_tensor_bytes(first, second)
        )
        base = first.stat().st_size
        rows.append(row(name, "floor", Sizes([base, base + changed]), restic))
    return rows


def row(name: str, store: str, sizes: Sizes, restic: Sizes) -> dict[str, Any]:
    """Sizes in MB (10^6 bytes)."""
    return {
        "input": name,
        "store": store,
        "total MB": round(sizes.stored[-1] / 1e6, 3),
        "of restic": round(sizes.stored[-1] / restic.stored[-1], 3),
        "increment MB": round(sizes.increment / 1e6, 3),
        "increment of restic": round(sizes.increment / restic.increment, 3),
        "CPU s": round(sizes.cpu, 1),
    }


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="for inputs, which are kept, and stores, which are not")
    parser.add_argument("--inputs", default=",".join(INPUTS), help="which, with commas between (%(default)s)")
    add_output(parser)
    args = parser.parse_args()
    names = args.inputs.split(",")
    if not set(names) <= set(INPUTS):
        parser.error(f"the inputs are {', '.join(INPUTS)}")
    if shutil.which("restic") is None:
        parser.error("restic is not on PATH; on Debian: apt-get install restic")
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = [row for name in names for row in compare(name, args.folder, INPUTS[name](args.folder))]
    show(args, "dedup", {"dedup": rows})


if __name__ == "__main__":
    main()
