"""The ways to push a blob that the specification describes; each ends with the answer to its last request."""

from collections.abc import Callable, Mapping

from .exchange import Exchange
from .expect import status
from .repository import Repository
from .session import Session

Form = Callable[[Repository, bytes, str], Exchange]


def post_put(repository: Repository, data: bytes, digest: str) -> Exchange:
    """POST, then the whole blob in the PUT."""
    return repository.begin().close(digest, data)


def single_post(repository: Repository, data: bytes, digest: str) -> Exchange:
    """One POST; a registry without it begins a session instead, and the blob follows in a PUT."""
    return repository.single_post(data, digest)


def one_chunk(repository: Repository, data: bytes, digest: str) -> Exchange:
    """One PATCH with its range, an empty PUT."""
    return _chunked(repository, data, digest, 1)


def three_chunks(repository: Repository, data: bytes, digest: str) -> Exchange:
    """Several PATCHes with their ranges, an empty PUT."""
    return _chunked(repository, data, digest, 3)


def last_chunk_in_put(repository: Repository, data: bytes, digest: str) -> Exchange:
    """PATCHes with their ranges, the last chunk with its range in the PUT."""
    session = repository.begin()
    chunks = session.chunks(data, 3)
    offset = _patch_all(session, chunks[:-1])
    return session.close(digest, chunks[-1], offset)


def streamed(repository: Repository, data: bytes, digest: str) -> Exchange:
    """One PATCH with neither Content-Range nor Content-Length, an empty PUT."""
    session = repository.begin()
    status(session.stream(data), 202, why="a streamed PATCH")
    return session.close(digest)


def patch_without_range(repository: Repository, data: bytes, digest: str) -> Exchange:
    """One PATCH with Content-Length but no Content-Range, as docker and containerd push; an empty PUT."""
    session = repository.begin()
    status(session.send_patch(data, {}), 202, why="a PATCH of the whole blob")
    return session.close(digest)


def _chunked(repository: Repository, data: bytes, digest: str, count: int) -> Exchange:
    session = repository.begin()
    _patch_all(session, session.chunks(data, count))
    return session.close(digest)


def _patch_all(session: Session, chunks: list[bytes]) -> int:
    offset = 0
    for chunk in chunks:
        status(session.patch(chunk, offset), 202, why="a chunk in order")
        offset += len(chunk)
    return offset


FORMS: Mapping[str, Form] = {
    "post-put": post_put,
    "single-post": single_post,
    "one-chunk": one_chunk,
    "three-chunks": three_chunks,
    "last-chunk-in-put": last_chunk_in_put,
    "streamed": streamed,
    "patch-without-range": patch_without_range,
}
