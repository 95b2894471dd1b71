"""Manifests that are none, and references that do not fit: turned down, nothing changed (end-7)."""

import json

from ..bench import Bench
from ..digests import digest_of
from ..expect import body, error_codes, header, holds, refused, status
from ..manifest import DOCKER_IMAGE, OCI_IMAGE, OCI_INDEX, encode, image, index
from ..plan import Level
from ..rule import algorithms, each, named, rule

NONSENSE = named(
    {
        "no bytes": b"",
        "no JSON": b"this is no JSON",
        "cut JSON": b'{"schemaVersion":2,"mediaType":',
        "a list": b"[]",
        "a string": b'"manifest"',
        "a number": b"2",
        "null": b"null",
        "no UTF-8": b'{"schemaVersion":2,"x":"\xff\xfe"}',
        "two documents": b'{"schemaVersion":2}{"schemaVersion":2}',
    }
)


@rule(
    "push/refusals",
    "end-7",
    Level.TRAP,
    "what is no manifest is turned down",
    NONSENSE,
    each(OCI_IMAGE, OCI_INDEX),
)
def nonsense(bench: Bench, document: bytes, media_type: str) -> None:
    repository = bench.repository()
    answer = refused(repository.put_manifest("nonsense", media_type, document), "the body is no manifest")
    codes = error_codes(answer)
    holds(answer, not codes or "MANIFEST_INVALID" in codes, "MANIFEST_INVALID among the errors")
    status(repository.manifest("nonsense"), 404)


@rule(
    "push/refusals",
    "end-7",
    Level.TRAP,
    "a manifest with a malformed digest in it is turned down",
    each("sha256:abc", "nonsense", "", "sha256:" + "g" * 64, "sha256:../../../../etc/passwd"),
    each("config", "layers"),
)
def malformed_descriptor(bench: Bench, digest: str, where: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    document = json.loads(made.body)
    (document["config"] if where == "config" else document["layers"][0])["digest"] = digest
    refused(repository.put_manifest("bad", OCI_IMAGE, encode(document)), "a digest in it is malformed")
    status(repository.manifest("bad"), 404)


@rule(
    "push/refusals",
    "end-7",
    Level.TRAP,
    "a Content-Type other than the mediaType is turned down",
    named(
        {
            "image as index": (OCI_IMAGE, OCI_INDEX),
            "index as image": (OCI_INDEX, OCI_IMAGE),
            "OCI image as Docker image": (OCI_IMAGE, DOCKER_IMAGE),
        }
    ),
)
def other_media_type(bench: Bench, case: tuple[str, str]) -> None:
    repository, inside = bench.repository(), image(bench.source, "sha256")
    made = inside if case[0] == OCI_IMAGE else index("sha256", [inside])
    repository.push_content(made)
    answer = refused(
        repository.put_manifest("confused", case[1], made.body), "the types contradict each other"
    )
    codes = error_codes(answer)
    holds(answer, not codes or "MANIFEST_INVALID" in codes, "MANIFEST_INVALID among the errors")


@rule(
    "push/refusals",
    "end-7",
    Level.MUST,
    "a manifest is not stored under a digest that is not its own",
    algorithms,
)
def wrong_digest(bench: Bench, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push(made)
    claimed = digest_of(made.body + b" ", algorithm)
    refused(repository.put_manifest(claimed, OCI_IMAGE, made.body), "the digest is not the manifest's")
    status(repository.manifest(claimed), 404)


@rule("push/refusals", "end-7", Level.SHOULD, "a digest that is not the manifest's is 400", algorithms)
def wrong_digest_status(bench: Bench, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push_content(made)
    status(repository.put_manifest(bench.source.absent(algorithm), OCI_IMAGE, made.body), 400)


@rule(
    "push/refusals",
    "end-7",
    Level.MUST,
    "a tag keeps its manifest when a push to it is turned down",
    NONSENSE,
)
def tag_unharmed(bench: Bench, document: bytes) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push(made, "good")
    refused(repository.put_manifest("good", OCI_IMAGE, document), "the body is no manifest")
    body(status(repository.manifest("good"), 200), made.body)


@rule(
    "push/manifests",
    "end-7",
    Level.SHOULD,
    "parameters of the Content-Type are ignored",
    each("; charset=utf-8", ";charset=UTF-8", '; foo="bar"'),
    each("GET", "HEAD"),
)
def parameters(bench: Bench, parameter: str, method: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    status(repository.put_manifest("parametrised", OCI_IMAGE + parameter, made.body), 201)
    header(status(repository.manifest("parametrised", method), 200), "Content-Type", OCI_IMAGE)
