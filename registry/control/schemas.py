"""The registry of metadata schemas: one JSON Schema a variant, versioned (A8)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from registry.contract import jsonvalue
from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import SchemaRegistered, SchemaRemoved
from registry.contract.jsonvalue import JsonValue
from registry.contract.model import Page, RegisteredSchema
from registry.contract.package_rules import check_variant
from registry.control import arrival, recording
from registry.control.access import Action, Caller
from registry.control.paging import page_by_key
from registry.control.sql import statements
from registry.control.sql.projection import SchemaDocument
from registry.control.sql.transaction import Transaction
from registry.control.typed_metadata import check_schema

#: Bytes of a schema in canonical JSON.
LARGEST_SCHEMA = 1024 * 1024

_COLUMNS = "SELECT variant, version, document, content_address, created_at FROM metadata_schemas"
_CURRENT = f"{_COLUMNS} WHERE variant = :variant AND current"
_VERSION = f"{_COLUMNS} WHERE variant = :variant AND version = :version"
_PAGE = f"{_COLUMNS} WHERE current AND variant > :after ORDER BY variant LIMIT :limit"
_NEWEST = "SELECT MAX(version) FROM metadata_schemas WHERE variant = :variant"


class SchemaService:
    """Implements `registry.contract.store.Schemas`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def put(self, variant: str, document: JsonValue) -> tuple[RegisteredSchema, bool]:
        self._caller.may(Action.SCHEMA)
        check_variant(variant)
        check_schema(document)
        data = jsonvalue.canonical(document)
        if len(data) > LARGEST_SCHEMA:
            raise StoreError(ErrorKind.TOO_LARGE, f"a schema may have {LARGEST_SCHEMA} bytes")
        since = self._core.clock.now()
        content = await self._core.dataplane.put(DEFAULT_DOMAIN, data)

        def change(tx: Transaction) -> tuple[RegisteredSchema, bool]:
            current = statements.first(tx.connection, _CURRENT, variant=variant)
            if current is not None and current[3] == str(content.blake3):
                return _schema(current), False
            newest = statements.first(tx.connection, _NEWEST, variant=variant)
            version = (newest[0] or 0) + 1 if newest else 1
            recording.record_content(tx, DEFAULT_DOMAIN, content)
            tx.emit(SchemaRegistered(variant, version, content.blake3), SchemaDocument(data.decode()))
            return RegisteredSchema(variant, version, document, content.blake3, tx.now), True

        return await arrival.record(
            self._core,
            self._caller.principal.id,
            change,
            since=since,
            again=lambda: self._core.dataplane.put(DEFAULT_DOMAIN, data),
        )

    async def get(self, variant: str, version: int | None = None) -> RegisteredSchema:
        self._caller.may(Action.PULL)
        if version is None:
            row = await self._core.database.fetch_one(_CURRENT, {"variant": variant})
        else:
            row = await self._core.database.fetch_one(_VERSION, {"variant": variant, "version": version})
        if row is None:
            raise _unknown(variant)
        return _schema(row)

    async def delete(self, variant: str) -> None:
        self._caller.may(Action.SCHEMA)

        def change(tx: Transaction) -> None:
            if statements.first(tx.connection, _CURRENT, variant=variant) is None:
                raise _unknown(variant)
            tx.emit(SchemaRemoved(variant))

        await self._core.database.write(self._caller.principal.id, change)

    async def list(self, *, after: str | None, limit: int) -> Page[RegisteredSchema]:
        self._caller.may(Action.PULL)
        rows = await self._core.database.fetch(_PAGE, {"after": after or "", "limit": limit + 1})
        return page_by_key([_schema(row) for row in rows], limit, key=lambda schema: schema.variant)


def _schema(row: Sequence[Any]) -> RegisteredSchema:
    variant, version, document, address, created_at = row
    # Not the strict reader: RFC 8785 writes 1e20 without an exponent, which that would refuse as an integer.
    parsed: JsonValue = json.loads(document)
    return RegisteredSchema(variant, version, parsed, Digest.parse(address), created_at)


def _unknown(variant: str) -> StoreError:
    return StoreError(ErrorKind.SCHEMA_UNKNOWN, f"no schema is registered for {variant}")
