"""What an operation is: a row of the table that the dispatcher obeys and the OpenAPI document shows.

An operation is a method on a resource. It lists its query and header parameters, its body, its answers and
the kinds of error it can end in, besides `COMMON`, which any operation can end in.
"""

from __future__ import annotations

from dataclasses import dataclass

from native_api.resources import Resource
from native_api.shapes import Schema
from registry.contract.errors import ErrorKind

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
OCTETS = "application/octet-stream"
TUS_OCTETS = "application/offset+octet-stream"

#: Kinds that no operation needs to list.
COMMON = frozenset(
    {
        ErrorKind.BAD_REQUEST,
        ErrorKind.ROUTE_UNKNOWN,
        ErrorKind.METHOD_NOT_ALLOWED,
        ErrorKind.UNAUTHENTICATED,
        ErrorKind.DENIED,
        ErrorKind.TOO_MANY_REQUESTS,
        ErrorKind.UNAVAILABLE,
        ErrorKind.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter or header field. `spread` is a map whose members are parameters of their own."""

    name: str
    schema: Schema
    description: str
    place: str = "query"
    required: bool = False
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: its media types, and the schema where it is JSON."""

    media_types: tuple[str, ...]
    schema: Schema | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """One success. `schema` is None for bytes, `media_types` empty for no body."""

    status: int
    description: str
    media_types: tuple[str, ...] = ()
    schema: Schema | None = None
    headers: tuple[str, ...] = ()
    #: Ids of operations whose path this answer's document fills in (OpenAPI links).
    leads_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one resource; `id` is unique. HEAD is implied by GET."""

    id: str
    method: str
    resource: Resource
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    kinds: frozenset[ErrorKind] = frozenset()

    @property
    def query_names(self) -> frozenset[str]:
        return frozenset(p.name for p in self.parameters if p.place == "query" and not p.spread)

    @property
    def takes_fields(self) -> bool:
        """Whether `label.…` and `metadata.…` may stand in the query."""
        return any(parameter.spread for parameter in self.parameters)

    @property
    def negotiated(self) -> tuple[str, ...]:
        """The media types `Accept` chooses between; empty where the bytes are what they are."""
        return next((a.media_types for a in self.answers if a.schema is not None), ())
