"""One question to several places: the first answer that counts, and which error to tell without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.places.site import Site

T = TypeVar("T")

#: Errors that another place may not have. The first of them is told first: while one place could not answer,
#: that others do not hold the content proves nothing.
_PASSING = (
    ErrorKind.UNAVAILABLE,
    ErrorKind.INTERNAL,
    ErrorKind.RESTORE_REQUIRED,
    ErrorKind.CONTENT_UNKNOWN,
)


def passing(error: StoreError) -> StoreError:
    """`error` itself when the next place may do better; raises it otherwise."""
    if error.kind not in _PASSING:
        raise error
    return error


def worst(errors: Sequence[StoreError]) -> StoreError:
    """The one to tell of several that are `passing`."""
    return min(errors, key=lambda error: _PASSING.index(error.kind))


async def first(sites: Sequence[Site], work: Callable[[Engine], Awaitable[T]]) -> T:
    """The answer of the first of the `sites` that gives one. Raises what is to be told otherwise."""
    errors = []
    for site in sites:
        try:
            return await work(await site.engine())
        except StoreError as error:
            errors.append(passing(error))
    raise worst(errors)


async def each(sites: Sequence[Site], work: Callable[[Site, Engine], Awaitable[T]]) -> list[T | StoreError]:
    """What each site answers or raises, asked at once."""

    async def one(site: Site) -> T | StoreError:
        try:
            return await work(site, await site.engine())
        except StoreError as error:
            return error

    return list(await asyncio.gather(*(one(site) for site in sites)))
