"""A process that pushes and collects until it is killed; it says what was acknowledged.

    python -m tests.control.collection.killed FOLDER CYCLE

Contents of even numbers get a manifest, the others are nobody's. `kept N` and `loose N` are written to stdout
after the acknowledgement, `collecting` when a collection begins.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from registry.contract.digest import Digest
from tests.control.collection.world import LATER, open_world
from tests.documents import manifest

CONTENTS = 40


def content(cycle: int, number: int) -> bytes:
    return f"content {number} of cycle {cycle} ".encode() * (1 + number * 97)


async def main(folder: Path, cycle: int) -> None:
    async with open_world(folder, folder / "ledger.sqlite") as world:
        world.clock.ahead = cycle * 2 * LATER

        async def push(number: int) -> None:
            data = content(cycle, number)
            digest: Digest = await (world.push_staged if number % 3 else world.push_blob)(data)
            assert digest
            if number % 2 == 0:
                await world.push(manifest(data))
                say(f"kept {number}")

        await asyncio.gather(*(push(number) for number in range(CONTENTS)))
        say("collecting")
        while True:
            await world.collect(LATER if world.clock.ahead < (cycle * 2 + 1) * LATER else 0)
            # What an earlier cycle had taken comes again, and goes again.
            await world.push_blob(content(0, 1))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
