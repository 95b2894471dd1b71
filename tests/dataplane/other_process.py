"""Run as a program: another worker process on the same store, told what to do line by line.

`append OFFSET TEXT` and `commit` answer with the new length or the error's kind; `hold TEXT` sends TEXT at
offset 0, large enough to be written, answers `held`, and ends the body on the next line. `admit PERMIT` and
`remove DIGEST PERMIT` answer when they are done.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.dataplane import DataPlaneSettings, open_local
from tests.dataplane.crashing import STAGE
from tests.dataplane.sealed import keys_in
from tests.dataplane.support import body

LARGE = 2 << 20


async def line() -> list[str]:
    text: str = await asyncio.to_thread(sys.stdin.readline)
    return text.split()


def answer(text: object) -> None:
    print(text, flush=True)


async def held() -> AsyncIterator[bytes]:
    yield bytes(LARGE)
    await line()


async def main() -> None:
    root = Path(sys.argv[1])
    store = open_local(root, settings=DataPlaneSettings(patience=0.05), keys=keys_in(root))
    while words := await line():
        try:
            if words[0] == "append":
                answer(await store.append(STAGE, int(words[1]), body(words[2].encode())))
            elif words[0] == "commit":
                answer((await store.commit(STAGE, None)).sha256)
            elif words[0] == "remove":
                address = Digest.parse(words[1])
                answer(await store.remove(DEFAULT_DOMAIN, address, words[2] if len(words) > 2 else None))
            elif words[0] == "admit":
                await store.admit(words[1])
                answer("admitted")
            elif words[0] == "hold":
                append = asyncio.create_task(store.append(STAGE, 0, held()))
                while (await store.staged(STAGE)).offset < 1 << 20:
                    await asyncio.sleep(0.005)
                answer("held")
                answer(await append)
        except StoreError as error:
            answer(error.kind.value)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
