"""Rows of the ledger's followers."""

from __future__ import annotations

from native_api import shapes
from native_api.resources import Resource
from native_api.table.operation import JSON, Answer, Body, Operation, Parameter
from native_api.table.parts import JSON_BODY, LIMIT, document
from registry.contract.errors import ErrorKind

_KINDS = frozenset({ErrorKind.FOLLOWER_UNKNOWN, ErrorKind.NOT_ACCEPTABLE})
_CHANGES = _KINDS | {ErrorKind.CONFLICT, ErrorKind.STORAGE_FULL}


def _change(id: str, resource: Resource, summary: str, description: str = "") -> Operation:
    return Operation(
        id,
        "POST",
        resource,
        summary,
        (document(200, "How it fares now.", "Follower"),),
        description=description,
        kinds=_CHANGES,
    )


FOLLOWERS: tuple[Operation, ...] = (
    Operation(
        "listFollowers",
        "GET",
        Resource.FOLLOWERS,
        "Who delivers the ledger elsewhere, and how far each is",
        (document(200, "All that are set, or were once.", "FollowerPage"),),
        kinds=frozenset({ErrorKind.NOT_ACCEPTABLE}),
    ),
    Operation(
        "getFollower",
        "GET",
        Resource.FOLLOWER,
        "One follower",
        (document(200, "How it fares.", "Follower"),),
        kinds=_KINDS,
    ),
    Operation(
        "forgetFollower",
        "DELETE",
        Resource.FOLLOWER,
        "Drop the place and the dead letters of a follower that is not set any more",
        (Answer(204, "Nothing of it is left."),),
        kinds=_CHANGES,
    ),
    Operation(
        "listDeadLetters",
        "GET",
        Resource.FOLLOWER_LETTERS,
        "Events that the receiver did not take",
        (document(200, "One page in order of seq.", "DeadLetterPage"),),
        parameters=(
            LIMIT,
            Parameter(
                "after",
                {"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "default": 0},
                "Those beyond this seq.",
            ),
        ),
        kinds=_KINDS,
    ),
    Operation(
        "redeliverDeadLetters",
        "POST",
        Resource.FOLLOWER_REDELIVER,
        "Try dead letters again",
        (document(202, "They are queued, and go out as soon as the receiver is there.", "Follower"),),
        description="Without a body all of them. One that is refused again stays a dead letter.",
        body=Body((JSON,), shapes.ref("Redelivery"), required=False),
        kinds=_CHANGES | JSON_BODY,
    ),
    _change(
        "skipEvent",
        Resource.FOLLOWER_SKIP,
        "Make the event that is not taken a dead letter now",
        "The follower goes on with the next one. 409 when it does not stand before such an event.",
    ),
    Operation(
        "seekFollower",
        "POST",
        Resource.FOLLOWER_SEEK,
        "Go on elsewhere in the ledger",
        (document(200, "How it fares now.", "Follower"),),
        description="Events between the old place and the new are delivered again, or not at all.",
        body=Body((JSON,), shapes.ref("Seek")),
        kinds=_CHANGES | JSON_BODY,
    ),
    _change("stopFollower", Resource.FOLLOWER_STOP, "Deliver nothing until it is resumed"),
    _change(
        "resumeFollower",
        Resource.FOLLOWER_RESUME,
        "Go on where it stopped",
        "A follower that waits before its next attempt makes it at once.",
    ),
)
