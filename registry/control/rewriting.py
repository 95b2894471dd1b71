"""Dead bytes in packs leave the medium: the last step of a collection."""

from __future__ import annotations

import logging
from contextlib import aclosing
from dataclasses import dataclass

from registry.contract.errors import StoreError
from registry.control.work import Work, patiently

_LOG = logging.getLogger(__name__)

#: Seconds to wait for a batch of blobs that is being packed.
_PATIENCE = 60.0


@dataclass(slots=True)
class RewrittenPacks:
    """`packs` were replaced, and `freed` bytes of files are less than before."""

    packs: int = 0
    freed: int = 0


async def rewrite(work: Work) -> RewrittenPacks:
    """Rewrite the packs that have many dead bytes. What keeps it from going on is logged, and is for the next
    run: a collection has done its part without. Raises UNAVAILABLE when another process has taken over.
    """
    done = RewrittenPacks()
    steps = patiently(work.core.dataplane.rewrite, _PATIENCE)
    async with aclosing(steps):
        while True:
            try:
                step = await anext(steps)
            except StopAsyncIteration:
                return done
            except StoreError as error:
                _LOG.warning("packs with dead bytes wait for the next run: %s", error)
                return done
            done.packs += step.packs
            done.freed += step.freed
            await work.prolong()
