"""Who may do what: the actions, the caller that every use case asks, and the open default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry.contract.model import Principal
from registry.contract.names import Repository
from registry.control.core import Core


class Action(StrEnum):
    """What a decision is about. `schema` and `admin` concern the store, the others a repository."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    SCHEMA = "schema"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal at the store's parts. Every use case begins by asking `may`."""

    core: Core
    principal: Principal

    def may(self, action: Action, repository: Repository | None = None) -> None:
        """Return, or raise StoreError DENIED, UNAUTHENTICATED or whatever stands for absence."""
        self.core.authorize(self.principal, action, repository)


def allow_all(_principal: Principal, _action: str, _repository: Repository | None) -> None:
    """The open store: on loopback, or behind a proxy that decides."""
