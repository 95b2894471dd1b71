"""The key ring: the data keys of a store's domains, made on first use, unwrapped when first needed.

Several processes may use one store's keys, and an operator's command may rotate or destroy them meanwhile:
a look at the domain's tombstone comes before every use, so that destroyed keys are used by nobody any more,
whoever had them unwrapped.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.contract.dataplane import DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Corrupt, Erased, Missing, Permanent
from registry.dataplane.failures import Translated
from registry.dataplane.paths import checked_domain
from registry.dataplane.sealing.datakey import LENGTH, DataKey
from registry.dataplane.sealing.keyfiles import Destroyed, KeyFiles, WrappedKey
from registry.dataplane.sealing.providers import KeyName, KeyProvider


def nothing(domain: DomainId) -> bool:
    """Seal no domain."""
    return False


@dataclass(frozen=True, slots=True)
class KeyState:
    """A data key, for people. `id` is its name in hexadecimal digits, `created` microseconds since the epoch,
    `provider` what wrapped it. New data is sealed with the `current` key of its domain."""

    domain: DomainId
    id: str
    created: int
    provider: str
    current: bool


class KeyRing:
    """The keys of the store in folder `root`.

    Domains that `sealed` says are sealed, and so is for ever each domain that has a key. `provider` wraps new
    keys; it and the `former` ones unwrap, each what it wrapped. Without a provider sealed domains cannot be
    read or written, and their keys can still be told and destroyed.
    """

    def __init__(
        self,
        root: Path,
        provider: KeyProvider | None = None,
        *,
        former: Sequence[KeyProvider] = (),
        sealed: Callable[[DomainId], bool] = nothing,
    ) -> None:
        self._files = KeyFiles(root)
        self._provider = provider
        self._providers = {one.id: one for one in (*former, *([provider] if provider else []))}
        self._sealed = sealed
        self._lock = threading.RLock()
        self._seals: dict[DomainId, bool] = {}
        self._open: dict[KeyName, DataKey] = {}
        self._current: dict[DomainId, tuple[int, KeyName]] = {}

    # --- for people and their commands -----------------------------------------------------------------

    def states(self, domain: DomainId | None = None) -> Iterator[KeyState]:
        """Every data key, or those of one domain, the current one of each domain last. Raises INTERNAL."""
        with Translated():
            for one in self._files.domains() if domain is None else [checked_domain(domain)]:
                keys = self._files.keys(one)
                for key in keys:
                    yield KeyState(one, key.name.id.hex(), key.created, key.provider, key is keys[-1])

    def destroyed(self) -> list[DomainId]:
        """Domains whose keys were destroyed."""
        return [domain for domain in self._files.domains() if self._files.destroyed(domain)]

    def rewrap(self, domain: DomainId | None = None) -> int:
        """Wrap anew by the present provider what former ones wrapped, and return how many keys that were.

        No stored data changes. Afterwards the former key-encryption keys are needed by nobody, save for
        backups made before. What was done stays when it fails midway. Raises UNAVAILABLE, INTERNAL, OSError.
        """
        count = 0
        with Translated():
            provider = self._required()
            for one in self._files.domains() if domain is None else [checked_domain(domain)]:
                for key in self._files.keys(one):
                    if key.provider != provider.id:
                        count += self._rewrapped(key, provider)
        return count

    def renew(self, domain: DomainId) -> KeyState:
        """Begin another data key for what the domain stores from now on; what it holds stays as it is.

        Processes that have the store open go over to it as well. Raises ERASED, UNAVAILABLE,
        INTERNAL, NAME_INVALID, CONFLICT for a domain that is not sealed, OSError.
        """
        self._check_sealed(domain)
        with Translated():
            self._make(domain)
            return list(self.states(domain))[-1]

    def destroy(self, domain: DomainId) -> int:
        """Destroy all keys of a domain: what it holds is unreadable from now on, here and in every copy of
        the store without its keys. Returns how many keys there were.

        For good: nothing can be stored in the domain any more. Copies of wrapped keys in backups stay, and
        open with their key-encryption key. Other domains keep what they hold. Needs no provider. Raises
        NAME_INVALID, CONFLICT for a domain without keys that is not sealed, OSError.
        """
        self._check_sealed(domain)
        self._forget(domain)
        return self._files.destroy(domain)

    # --- for the store: these raise DriverErrors -------------------------------------------------------

    def settle(self) -> None:
        """Delete keys beside a tombstone: a crash came first, or somebody put them back. Raises OSError."""
        for domain in self.destroyed():
            if self._files.remains(domain):
                self._files.destroy(domain)

    def seals(self, domain: DomainId) -> bool:
        """Whether what the domain stores is sealed, as it was when this was first asked."""
        found = self._seals.get(domain)
        if found is None:
            found = self._seals[domain] = self._sealed(domain) or self._files.known(domain)
        return found

    def current(self, domain: DomainId) -> DataKey:
        """The key for new data, made when there is none. Raises Erased, Transient, Permanent, OSError."""
        self._not_destroyed(domain)
        changed = self._files.changed(domain)
        since, name = self._current.get(domain, (-1, None))
        if name is not None and since == changed and name in self._open:
            return self._open[name]
        with self._lock:
            keys = self._files.keys(domain)
            name = keys[-1].name if keys else self._make(domain)
            found = self._unwrapped(name)
            self._current[domain] = (changed, name)
            return found

    def find(self, name: KeyName) -> DataKey:
        """A key by its name. Raises Erased, Transient, Permanent, OSError."""
        self._not_destroyed(name.domain)
        found = self._open.get(name)
        if found is not None:
            return found
        with self._lock:
            return self._unwrapped(name)

    def at_hand(self, name: KeyName) -> bool:
        """Whether `find` needs no provider, which may take seconds."""
        return name in self._open

    def _check_sealed(self, domain: DomainId) -> None:
        if not self.seals(checked_domain(domain)):
            raise StoreError(ErrorKind.CONFLICT, f"the domain {domain} is not sealed: it has no keys")

    def _not_destroyed(self, domain: DomainId) -> None:
        if self._files.destroyed(domain):
            self._forget(domain)
            raise Erased(f"the key of the domain {domain} was destroyed")

    def _forget(self, domain: DomainId) -> None:
        with self._lock:
            self._current.pop(domain, None)
            self._open = {name: key for name, key in self._open.items() if name.domain != domain}

    def _required(self) -> KeyProvider:
        if self._provider is None:
            raise Permanent("the store has sealed domains and was opened without a key provider; name one")
        return self._provider

    def _make(self, domain: DomainId) -> KeyName:
        provider = self._required()
        name, key = KeyName(domain, os.urandom(16)), os.urandom(LENGTH)
        wrapped = provider.wrap(name, key)
        if provider.unwrap(name, wrapped) != key:
            raise Permanent(
                f"the key provider {provider.id} does not unwrap what it wraps; nothing was sealed"
            )
        try:
            self._files.write(name, provider.id, wrapped)
        except Destroyed:
            raise Erased(f"the key of the domain {domain} was destroyed") from None
        return name

    def _unwrapped(self, name: KeyName) -> DataKey:
        if name not in self._open:
            for key in self._files.keys(name.domain):
                if key.name == name:
                    self._open[name] = DataKey(name, self._secret(key))
                    break
            else:
                self._not_destroyed(name.domain)  # just now
                raise Permanent(f"the key file of {name} is missing; put it back from a backup of the store")
        return self._open[name]

    def _secret(self, key: WrappedKey) -> bytes:
        self._required()
        provider = self._providers.get(key.provider)
        if provider is None:
            raise Permanent(
                f"the data key {key.name} was wrapped by {key.provider}, which is not among the key providers"
            )
        try:
            secret = provider.unwrap(key.name, key.wrapped)
        except Corrupt as error:
            raise Permanent(str(error)) from error
        if len(secret) != LENGTH:
            raise Permanent(f"the key provider {provider.id} did not unwrap the data key {key.name}")
        return secret

    def _rewrapped(self, key: WrappedKey, provider: KeyProvider) -> int:
        secret = self._secret(key)
        wrapped = provider.wrap(key.name, secret)
        if provider.unwrap(key.name, wrapped) != secret:
            raise Permanent(
                f"the key provider {provider.id} does not unwrap what it wraps; nothing was changed"
            )
        try:
            self._files.write(key.name, provider.id, wrapped, key.created)
        except (Destroyed, Missing):  # meanwhile
            return 0
        return 1
