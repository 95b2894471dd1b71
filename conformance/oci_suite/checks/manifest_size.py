"""How large a manifest may be (end-7)."""

from ..bench import Bench
from ..digests import digest_of
from ..expect import body, status
from ..manifest import OCI_IMAGE, OCI_INDEX, image, index
from ..plan import Level
from ..rawsocket import RawConnection
from ..rule import Skip, algorithms, named, rule

LARGEST = 32 * 1024 * 1024


def _padded(document: bytes, size: int) -> bytes:
    """The same document with an annotation that brings it to the size."""
    head = document[:-1] + b',"annotations":{"padding":"'
    return head + b"x" * (size - len(head) - 3) + b'"}}'


@rule(
    "push/manifest-size",
    "end-7",
    Level.SHOULD,
    "a manifest of up to 4 megabytes is stored",
    named({"1.5-MB": 1_500_000, "4-MB": 4_000_000}),
    named({"image": OCI_IMAGE, "index": OCI_INDEX}),
    algorithms,
)
def four_megabytes(bench: Bench, size: int, media_type: str, algorithm: str) -> None:
    repository, inside = bench.repository(), image(bench.source, algorithm)
    made = inside if media_type == OCI_IMAGE else index(algorithm, [inside])
    repository.push_content(made)
    document = _padded(made.body, size)
    digest = digest_of(document, algorithm)
    status(repository.put_manifest(digest, media_type, document), 201)
    body(status(repository.manifest(digest), 200), document)


@rule("push/manifest-size", "end-7", Level.TRAP, "4 MiB to the byte, the limit of most clients, is stored")
def four_mebibytes(bench: Bench) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    document = _padded(made.body, 4 * 1024 * 1024)
    status(repository.put_manifest("four", OCI_IMAGE, document), 201)
    body(status(repository.manifest("four"), 200), document)


@rule("push/manifest-size", "end-7", Level.SHOULD, "a manifest beyond the registry's limit is 413")
def beyond_limit(bench: Bench) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    document = _padded(made.body, LARGEST)
    with RawConnection(bench.wire) as connection:
        head = {"Content-Type": OCI_IMAGE, "Content-Length": str(len(document))}
        request = connection.begin("PUT", repository.path("manifests/large"), head)
        connection.send_until_answered(document)
        answer = connection.answer(request)
    if answer.status == 201:
        raise Skip("the registry stores a manifest of 32 MiB; its limit, if any, is higher")
    status(answer, 413)
    status(repository.manifest("large"), 404)


@rule(
    "push/manifest-size",
    "end-7",
    Level.TRAP,
    "an index of two thousand entries and an image of a thousand layers are stored",
    named({"index": True, "image": False}),
)
def many_entries(bench: Bench, is_index: bool) -> None:
    repository, inside = bench.repository(), image(bench.source, "sha256")
    if is_index:
        made = index("sha256", [inside] * 2000)
        repository.push(inside)
    else:
        made = image(bench.source, "sha256", layers=[("application/x", b"one layer")] * 1000)
        repository.push_content(made)
    status(repository.put_manifest("many", made.media_type, made.body), 201)
    body(status(repository.manifest("many"), 200), made.body)
