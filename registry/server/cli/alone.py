"""The store for one command alone: nobody serves it meanwhile, and nobody begins to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from registry.server.cli.console import CommandError
from registry.server.settings import Settings


@asynccontextmanager
async def alone(settings: Settings, purpose: str) -> AsyncIterator[None]:
    """Hold the data folder's lock, where there is one, and see that nobody is connected to a shared database.

    `purpose` is the command's name. Servers that start meanwhile wait for a folder; those of a database are
    the administrator's to keep away. Raises CommandError while others are at work, StoreError when the
    database does not answer.
    """
    # Late: `--help` does without them.
    from registry.control.sql.opening import others_at_work
    from registry.server.folder import (
        FolderBusyError,
        FolderUnusableError,
        database_of,
        has_folder,
        lock_exclusive,
    )

    with ExitStack() as held:
        if has_folder(settings):
            try:
                held.enter_context(lock_exclusive(settings.server.data, purpose))
            except (FolderBusyError, FolderUnusableError) as error:
                raise CommandError(str(error)) from None
        where = database_of(settings)
        if isinstance(where, str) and (others := await others_at_work(where)):
            raise CommandError(
                f"others are connected to the database (program, host, process): {', '.join(others)}; stop "
                f"all replicas first, since {purpose} needs the store for itself"
            )
        yield
