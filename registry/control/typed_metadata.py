"""Typed metadata: what a variant's JSON Schema says of it, checked at ingest (A8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from registry.contract import jsonvalue
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import Manifest
from registry.contract.names import Repository
from registry.control.core import Core
from registry.control.manifest_storing import NativePackage
from registry.control.sql import lookups
from registry.control.sql.lookups import BlobRow

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_CURRENT = "SELECT version, document FROM metadata_schemas WHERE variant = :variant AND current"
_LARGEST_CONFIG = 4 * 1024 * 1024
_MOST_ERRORS = 100
_PREFIX = "application/vnd."
_LARGE = 16 * 1024


async def check_metadata(core: Core, variant: str, metadata: Mapping[str, JsonValue]) -> int | None:
    """The version of the schema that `metadata` was checked against, None when the variant has none.

    Raises VALIDATION_FAILED with a JSON Pointer for every fault.
    """
    row = await core.database.fetch_one(_CURRENT, {"variant": variant})
    if row is None:
        return None
    version, document = int(row[0]), str(row[1])
    value = dict(metadata)
    if len(document) > _LARGE or len(json.dumps(value)) > _LARGE:
        errors = await asyncio.to_thread(_faults, document, value)
    else:
        errors = _faults(document, value)
    if errors:
        raise StoreError(
            ErrorKind.VALIDATION_FAILED,
            f"the metadata does not satisfy version {version} of the schema of {variant}",
            errors=errors,
        )
    return version


async def check_foreign(
    core: Core, actor: str, repository: Repository, manifest: Manifest, package: NativePackage | None
) -> int | None:
    """An artifact from `/v2/` whose artifactType names a registered variant and whose config is JSON.

    Its config is the metadata. Raises MANIFEST_INVALID when it does not validate: there is no way round A8.
    """
    config = manifest.config
    if package is not None or config is None or not (manifest.artifact_type or "").startswith(_PREFIX):
        return None
    if not (config.media_type.endswith("+json") or config.media_type == "application/json"):
        return None
    variant = (manifest.artifact_type or "")[len(_PREFIX) :]
    if await core.database.fetch_one(_CURRENT, {"variant": variant}) is None:
        return None
    row = await core.database.fetch_one(
        lookups.BLOB_OF_REPOSITORY, {"repository": repository, "digest": str(config.digest)}
    )
    if row is None:
        return None
    blob = BlobRow.of(row)
    try:
        data = await core.dataplane.get(blob.domain, blob.address, _LARGEST_CONFIG)
        metadata = jsonvalue.parse(data, max_bytes=_LARGEST_CONFIG)
        if not isinstance(metadata, dict):
            raise StoreError(ErrorKind.VALIDATION_FAILED, "the config is not a JSON object")
        return await check_metadata(core, variant, metadata)
    except StoreError as error:
        if error.kind not in {ErrorKind.VALIDATION_FAILED, ErrorKind.TOO_LARGE, ErrorKind.CONTENT_UNKNOWN}:
            raise
        raise StoreError(
            ErrorKind.MANIFEST_INVALID,
            f"the config does not satisfy the schema of {variant}: {error.message}",
            errors=error.errors,
        ) from error


def check_schema(document: JsonValue) -> None:
    """Raises VALIDATION_FAILED unless `document` is a JSON Schema 2020-12 that refers to itself alone."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(document, dict | bool):
        raise _refusal("", "a JSON Schema is an object or a boolean")
    dialect = document.get("$schema") if isinstance(document, dict) else None
    if dialect not in {None, "https://json-schema.org/draft/2020-12/schema"}:
        raise _refusal("/$schema", "only JSON Schema 2020-12 is known")
    try:
        Draft202012Validator.check_schema(document)
    except SchemaError as error:
        raise _refusal(jsonvalue.pointer(error.absolute_path), error.message) from None
    for path, reference in _references(document, ()):
        if not reference.startswith("#"):
            raise _refusal(jsonvalue.pointer(path), "a schema may refer to itself alone: '#…'")


def _references(value: JsonValue, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    found: list[tuple[tuple[str | int, ...], str]] = []
    if isinstance(value, dict):
        for key, member in value.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(member, str):
                found.append(((*path, key), member))
            else:
                found.extend(_references(member, (*path, key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found.extend(_references(item, (*path, index)))
    return found


def _faults(document: str, metadata: JsonValue) -> list[FieldError]:
    from referencing.exceptions import Unresolvable

    errors = []
    try:
        for error in _validator(document).iter_errors(metadata):
            errors.append(
                FieldError("/metadata" + jsonvalue.pointer(error.absolute_path), error.message[:500])
            )
            if len(errors) == _MOST_ERRORS:
                break
    except Unresolvable as error:
        errors.append(FieldError("/metadata", f"the schema refers to what it does not hold: {error.ref}"))
    except RecursionError:
        errors.append(
            FieldError("/metadata", "the schema or the metadata is nested too deeply to be checked")
        )
    return errors


@lru_cache(maxsize=64)
def _validator(document: str) -> Draft202012Validator:
    """Late imports: jsonschema costs a sixth of a second, and most stores start without a schema."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    return Draft202012Validator(json.loads(document), registry=Registry())


def _refusal(path: str, message: str) -> StoreError:
    return StoreError(
        ErrorKind.VALIDATION_FAILED,
        "the document is not an acceptable JSON Schema",
        errors=(FieldError(path, message),),
    )
