"""The two sides of a move as the user names them, and whether what the one holds may lie in the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.contract.dataplane import DataPlane, DomainId
from registry.server import folder, settings
from registry.server.settings import Settings
from registry.server.settings_table import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.dataplane import KeyRing


class MoveError(Exception):
    """Sides between which a store cannot move; the message says why."""


@dataclass(frozen=True, slots=True)
class End:
    """One side: its settings, and the name people know it by (no password in it)."""

    settings: Settings
    name: str

    @property
    def database(self) -> str | Path:
        return folder.database_of(self.settings)


def read_end(text: str, variables: str, environ: Mapping[str, str]) -> End:
    """What FROM or TO names: a data folder with the settings file in it, if there is one, or a settings file.

    Of the environment only those `variables` count that begin so: what is set for one store must not become
    both. Raises SettingsError.
    """
    own = {
        settings.PREFIX + name.removeprefix(variables): value
        for name, value in environ.items()
        if name.startswith(variables)
    }
    which = "config" if Path(text).suffix == ".toml" else "data"
    found = settings.load({which: text}, own).settings
    return End(found, _name_of(found))


def _name_of(found: Settings) -> str:
    where = str(found.server.data.resolve())
    if found.database.url is None and found.storage.url is None:
        return where
    database = "SQLite" if found.database.url is None else mask(found.database.url)
    storage = "files" if found.storage.url is None else mask(found.storage.url)
    return f"{database} with {storage}" + (f" in {where}" if folder.has_folder(found) else "")


def check_apart(source: End, target: End) -> None:
    """No side may be, or lie within, the other. Raises MoveError."""
    here, there = source.settings, target.settings
    if source.database == target.database:
        raise MoveError(f"FROM and TO have the same database, of {source.name}: name another one in TO")
    buckets = [_bucket(end.storage.url) for end in (here, there) if end.storage.url is not None]
    if len(buckets) != len(set(buckets)):
        raise MoveError(
            f"FROM and TO keep content in the same place, {buckets[0][0]}: name another one in TO"
        )
    if folder.has_folder(here) and folder.has_folder(there):
        first, second = here.server.data.resolve(), there.server.data.resolve()
        if first == second or first in second.parents or second in first.parents:
            raise MoveError(f"the data folders {first} and {second} are not apart; name a folder elsewhere")


def _bucket(url: str) -> tuple[str, str]:
    place, _, query = url.partition("?")
    endpoint = next((word for word in query.split("&") if word.startswith("endpoint=")), "")
    return place.rstrip("/"), endpoint


def check_sealed(source: End, target: End) -> None:
    """What is sealed stays sealed. Raises MoveError for a domain that the target would keep in plaintext."""
    if source.settings.storage.url is not None:
        return
    ring = _keys(source)
    erased = set(ring.destroyed())
    sealed = {domain.name for domain in source.settings.domains if domain.sealed}
    sealed |= {key.domain for key in ring.states()}
    able = {domain.name for domain in target.settings.domains if domain.sealed}
    for name in sorted(sealed - erased):
        if target.settings.storage.url is not None:
            raise MoveError(
                f"the domain {name} is sealed, and {target.name} keeps content in a bucket, where nothing "
                "can be sealed yet: move to a folder, or destroy the domain's keys first"
            )
        if name not in able:
            raise MoveError(
                f"the domain {name} is sealed, and the settings of {target.name} do not seal it: give them "
                f'keys.provider and a [[domain]] with name = "{name}" and sealed = true'
            )


def destroy_erased(source: End, target: End) -> None:
    """What was erased at the source cannot be stored at the target."""
    if source.settings.storage.url is None:
        for domain in _keys(source).destroyed():
            destroy(target, domain)


def destroy(target: End, domain: DomainId) -> None:
    """Destroy the keys of a domain at the target, where it has sealed ones. Raises OSError."""
    if target.settings.storage.url is None:
        ring = _keys(target)
        if ring.seals(domain):
            ring.destroy(domain)


def _keys(end: End) -> KeyRing:
    from registry.server.storage import key_ring

    return key_ring(end.settings, providers=False)


@contextmanager
def locked(source: End, target: End) -> Iterator[None]:
    """Nobody rebuilds the source meanwhile, and nobody else works in the target's folder.

    Makes the target's folder where there is none. Raises FolderBusyError, FolderUnusableError.
    """
    with ExitStack() as held:
        if folder.has_folder(source.settings):
            held.enter_context(folder.lock_shared(source.settings.server.data))
        if folder.has_folder(target.settings):
            folder.create_folder(target.settings.server.data)
            held.enter_context(folder.lock_exclusive(target.settings.server.data, "migrate-store"))
        yield


async def prepare_database(target: End) -> None:
    """Make the schema where there is none. Raises StoreError where another program's is."""
    from registry.control import SystemClock
    from registry.control.sql.opening import open_database

    database = await open_database(target.database, SystemClock())
    await database.close()


@asynccontextmanager
async def open_bytes(target: End) -> AsyncIterator[DataPlane]:
    """The target's data plane. Raises StoreError, OSError; also where its rules forbid what arrives."""
    from registry.control.tiers.places import Places
    from registry.server.storage import open_dataplane
    from registry.server.tiering import placement_of

    opened = await open_dataplane(target.settings)
    try:
        placement_of(target.settings).check_arrivals(Places(opened.places()))
        yield opened
    finally:
        await opened.close()
