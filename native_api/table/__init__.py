"""Everything the API can do, as one table: the dispatcher obeys it and the OpenAPI document shows it."""

from __future__ import annotations

from native_api.errors import STATUS
from native_api.resources import Resource
from native_api.table.content import CONTENT
from native_api.table.drafts import DRAFTS
from native_api.table.followers import FOLLOWERS
from native_api.table.operation import COMMON, Operation
from native_api.table.packages import PACKAGES
from native_api.table.schemas import SCHEMAS
from native_api.table.store import STORE
from native_api.table.uploads import UPLOADS
from registry.contract.errors import ErrorKind

#: All of it. The order is the OpenAPI document's.
OPERATIONS: tuple[Operation, ...] = (*STORE, *UPLOADS, *PACKAGES, *DRAFTS, *CONTENT, *SCHEMAS, *FOLLOWERS)

_BY_RESOURCE: dict[Resource, dict[str, Operation]] = {}
for _operation in OPERATIONS:
    _BY_RESOURCE.setdefault(_operation.resource, {})[_operation.method] = _operation


def allowed(resource: Resource) -> list[str]:
    """The methods of `resource`, HEAD with GET, sorted."""
    methods = set(_BY_RESOURCE[resource])
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def find(resource: Resource, method: str) -> Operation | None:
    """The operation that `method` means on `resource`, None when it means nothing."""
    return _BY_RESOURCE[resource].get("GET" if method == "HEAD" else method)


def error_answers(operation: Operation) -> dict[int, list[ErrorKind]]:
    """The kinds `operation` can end in, by status, both in order."""
    kinds = sorted(operation.kinds | COMMON | _of_path(operation.resource))
    by_status: dict[int, list[ErrorKind]] = {}
    for kind in kinds:
        by_status.setdefault(STATUS[kind].status, []).append(kind)
    return dict(sorted(by_status.items()))


def _of_path(resource: Resource) -> set[ErrorKind]:
    """What a path's variables can be refused as."""
    refusals = {
        "{repository}": ErrorKind.NAME_INVALID,
        "{version}": ErrorKind.REFERENCE_INVALID,
        "{digest}": ErrorKind.DIGEST_INVALID,
        "{address}": ErrorKind.DIGEST_INVALID,
        "{upload}": ErrorKind.UPLOAD_UNKNOWN,
        "{follower}": ErrorKind.FOLLOWER_UNKNOWN,
    }
    return {kind for variable, kind in refusals.items() if variable in resource.value}
