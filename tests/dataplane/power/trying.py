"""A story told once, and its store looked at after a power loss at each of its moments."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.dataplane.power.checking import check
from tests.dataplane.power.disk import Disk, Fate
from tests.dataplane.power.expected import Expected, Said
from tests.dataplane.power.story import record


@dataclass(frozen=True)
class Tried:
    """How many changes of the disk a story made, and how many states of a crashed disk were checked."""

    changes: int
    states: int


async def try_story(
    name: str, folder: Path, *, seed: int, states: int = 0, rounds: int = 1, sealed: bool = False
) -> Tried:
    """Check so many states, by chance; with 0 at every moment each fate, and that by `rounds` of chance.

    Fails with the moment, what was to become of unsynced changes, and the seed.
    """
    recorder = await record(name, folder / "story", seed, sealed=sealed)
    chance = Random(f"{name} {seed} states")
    moments = [at for at, step in enumerate(recorder.trace) if at >= recorder.first and _is_change(step)]
    every = [(at, fate, turn) for at in moments for turn in range(rounds) for fate in _fates(turn)]
    chosen = sorted(chance.sample(every, states), key=lambda trial: trial[0]) if states else every
    disk, expected, tried = Disk(), Expected(), 0
    for at, step in enumerate(recorder.trace):
        if isinstance(step, Said):
            expected.hear(step)
            continue
        disk.apply(step)
        while tried < len(chosen) and chosen[tried][0] == at:
            _, fate, turn = chosen[tried]
            root = folder / "crashed"
            disk.write_to(root, fate, Random(f"{name} {seed} {at} {turn}"))
            try:
                await check(root, deepcopy(expected))
            except Exception as error:
                what = f"{name}, seed {seed}: after change {at} ({type(step).__name__}), {fate.value}"
                raise AssertionError(f"{what}: {error}") from error
            shutil.rmtree(root)
            tried += 1
    return Tried(len(moments), tried)


def _is_change(step: object) -> bool:
    return not isinstance(step, Said)


def _fates(turn: int) -> list[Fate]:
    """Only what is left to chance is worth another turn."""
    return list(Fate) if turn == 0 else [Fate.SOME]
