"""Blobs whose digest is wrong, malformed or missing: turned down, and nothing is there afterwards."""

from ..bench import Bench
from ..digests import digest_of
from ..expect import holds, refused, status
from ..forms import FORMS, Form
from ..plan import Level, Profile
from ..rule import algorithms, each, named, rule
from ..session import OCTETS
from ..wire import with_query

MALFORMED = each(
    "sha256:abc",
    "sha256:" + "g" * 64,
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256",
    "sha256:",
    ":" + "a" * 64,
    "a" * 64,
    "sha256:../../../etc/passwd",
    "sha512:" + "a" * 64,
)


@rule("push/digest", "end-6", Level.MUST, "a digest that is not the blob's is 400", named(FORMS), algorithms)
def mismatch(bench: Bench, form: Form, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(600)
    status(form(repository, data, bench.source.absent(algorithm)), 400)


@rule(
    "push/digest",
    "end-6",
    Level.MUST,
    "after a digest mismatch nothing is visible under either digest",
    named(FORMS),
    algorithms,
)
def nothing_after_mismatch(bench: Bench, form: Form, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(600)
    repository.push_blob(bench.source.blob(5))
    claimed = bench.source.absent(algorithm)
    refused(form(repository, data, claimed), "the digest is not the blob's")
    for digest in (claimed, digest_of(data, algorithm)):
        for method in ("HEAD", "GET"):
            status(repository.blob(digest, method), 404)


@rule(
    "push/digest",
    "end-6",
    Level.MUST,
    "after a digest mismatch the same blob can be pushed rightly",
    named(FORMS),
    algorithms,
)
def push_after_mismatch(bench: Bench, form: Form, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(600)
    refused(form(repository, data, bench.source.absent(algorithm)), "the digest is not the blob's")
    digest = digest_of(data, algorithm)
    status(form(repository, data, digest), 201)
    status(repository.blob(digest), 200)


@rule(
    "push/digest",
    "end-6",
    Level.MUST,
    "a truncated blob is not stored under the whole one's digest",
    algorithms,
)
def truncated(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(600)
    digest = digest_of(data, algorithm)
    status(repository.begin().close(digest, data[:-1]), 400)
    status(repository.blob(digest), 404)


@rule("push/digest", "end-6", Level.MUST, "a session cannot be closed without a digest")
def no_digest(bench: Bench) -> None:
    session, data = bench.repository().begin(), bench.source.blob(60)
    refused(bench.wire.send("PUT", session.location, headers=OCTETS, body=data), "the PUT has no digest")


@rule("push/digest", "end-6", Level.SHOULD, "a malformed digest is 400 at the closing PUT", MALFORMED)
def malformed_at_put(bench: Bench, digest: str) -> None:
    status(bench.repository().begin().close(digest, bench.source.blob(60)), 400)


@rule("push/digest", "end-4b", Level.SHOULD, "a malformed digest is not accepted by a single POST", MALFORMED)
def malformed_at_post(bench: Bench, digest: str) -> None:
    answer = bench.repository().post_upload(with_query("", "digest", digest), bench.source.blob(60))
    # 202: a registry without this form has not looked at the digest
    holds(answer, answer.status in (202, 400), "status 400, or 202 where a single POST is not supported")


@rule(
    "push/digest",
    "end-6",
    Level.SHOULD,
    "a digest of an unsupported algorithm is 400",
    each("post-put", "single-post", "three-chunks"),
    each("md5:" + "a" * 32, "unknown:" + "b" * 64, "x+y.z_w:" + "c" * 20),
    since=Profile.DEV,
)
def unsupported(bench: Bench, form: str, digest: str) -> None:
    status(FORMS[form](bench.repository(), bench.source.blob(60), digest), 400)


@rule(
    "push/digest",
    "end-6",
    Level.TRAP,
    "a digest with capitals is another digest, never the blob's",
    algorithms,
)
def capitals(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), b"capitals" + bench.source.blob(60)
    name, _, encoded = digest_of(data, algorithm).partition(":")
    refused(repository.begin().close(f"{name}:{encoded.upper()}", data), "hexadecimal digits are small")
