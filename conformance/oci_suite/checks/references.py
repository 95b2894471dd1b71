"""References that are neither a tag nor a digest (end-2, end-3, end-7)."""

from ..bench import Bench
from ..expect import refused, status
from ..manifest import image
from ..plan import Level
from ..rule import each, rule

BAD_TAGS = each(
    ".dot",
    "-dash",
    "a+b",
    "a~b",
    "a%20b",
    "%C3%BC",
    "a%2Fb",
    "a@b",
    "t" * 129,
    "a%00",
    "a:b",
    "sha256:abc",
    "*",
)
BAD_DIGESTS = each(
    "sha256:abc",
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "g" * 64,
    "sha256:" + "A" * 64,
    "sha256:",
    "sha256",
    ":" + "a" * 64,
    "latest",
    "sha256:" + "a" * 32 + "%2F" + "a" * 31,
    "sha256:..%2F..%2Fetc%2Fpasswd",
    "md5:" + "a" * 32,
    "sha1:" + "a" * 40,
    "unknown:" + "a" * 64,
)


@rule(
    "references",
    "end-7",
    Level.MUST,
    "a manifest is not pushed to what is neither a tag nor a digest",
    BAD_TAGS,
)
def push_bad_tag(bench: Bench, tag: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push(made, "good")
    refused(repository.put_manifest(tag, made.media_type, made.body), "the reference is malformed")


@rule("references", "end-3", Level.TRAP, "pulling what is neither a tag nor a digest is 404 or 400", BAD_TAGS)
def pull_bad_tag(bench: Bench, tag: str) -> None:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"), "good")
    for method in ("GET", "HEAD"):
        status(repository.manifest(tag, method), 404, 400)


@rule(
    "references",
    "end-2",
    Level.MUST,
    "a blob by a malformed or unknown digest is 404 or 400",
    BAD_DIGESTS,
    each("GET", "HEAD", "DELETE"),
)
def bad_digest(bench: Bench, digest: str, method: str) -> None:
    repository = bench.repository()
    repository.push_blob(b"{}")
    answer = repository.blob(digest, method)
    if method == "DELETE":  # may be switched off, or sent on to a path without ..
        status(answer, 404, 400, 405, 301, 307, 308)
    else:
        status(answer, 404, 400)


@rule(
    "references",
    "end-9",
    Level.MUST,
    "deleting a malformed reference is turned down",
    each("sha256:abc", ".dot", "sha256:" + "g" * 64, "a%2Fb"),
)
def delete_bad(bench: Bench, reference: str) -> None:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"), "good")
    refused(repository.manifest(reference, "DELETE"), "the reference is malformed")
    status(repository.manifest("good"), 200)
