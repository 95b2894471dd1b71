"""Names of repositories (pull/manifests gives their grammar)."""

from ..bench import Bench
from ..expect import body, holds, refused, status
from ..manifest import image
from ..plan import Level
from ..rawsocket import RawConnection
from ..repository import Repository
from ..rule import each, rule

VALID = each(
    "/a",
    "/0",
    "/a/b/c/d/e/f/g",
    ".dot",
    "_under",
    "__two",
    "-dash",
    "---dashes",
    "/a.b_c__d-e--f",
    "/0.0-0",
    "/tags",
    "/manifests",
    "/blobs",
    "/blobs/uploads",
    "/referrers",
    "/tags/list",
    "/manifests/latest",
    "/v2",
    "/" + "n" * 100,
)
INVALID = each(
    "Capital",
    "under_",
    "-dash",
    "a..b",
    "a___b",
    "a._b",
    "dot.",
    ".dot",
    "a//b",
    "a/",
    "b%C3%BC",
    "a%20b",
    "a+b",
    "a@b",
    "a:b",
    "a/-b",
    "a/b_",
    "a%00b",
    "a%2Fb%2F..%2Fc",
    "~a",
)


@rule("names", "end-7", Level.MUST, "every name that the grammar allows is a repository", VALID)
def valid(bench: Bench, ending: str) -> None:
    repository, made = bench.repository(ending), image(bench.source, "sha256")
    repository.push(made, "latest")
    for reference in ("latest", made.digest):
        body(status(repository.manifest(reference), 200), made.body)
    body(status(repository.blob(repository.push_blob(b"{}")), 200), b"{}")
    status(repository.tags(), 200)


@rule("names", "end-4a", Level.MUST, "no upload begins under a name that the grammar forbids", INVALID)
def invalid_upload(bench: Bench, name: str) -> None:
    answer = Repository(bench.wire, f"{bench.root}/{name}").post_upload()
    holds(answer, 300 <= answer.status < 500, "no success: the name is malformed")


@rule("names", "end-7", Level.MUST, "no manifest is stored under a name that the grammar forbids", INVALID)
def invalid_manifest(bench: Bench, name: str) -> None:
    made = image(bench.source, "sha256", layers=[])
    answer = Repository(bench.wire, f"{bench.root}/{name}").put_manifest("latest", made.media_type, made.body)
    holds(answer, 300 <= answer.status < 500, "no success: the name is malformed")


@rule("names", "end-3", Level.TRAP, "reading under a malformed name is the client's mistake", INVALID)
def invalid_read(bench: Bench, name: str) -> None:
    refused(Repository(bench.wire, f"{bench.root}/{name}").manifest("latest"), "the name is malformed")


@rule(
    "names",
    "end-3",
    Level.TRAP,
    "a path that climbs, or is no path, is the client's mistake",
    each(
        "/v2/../../etc/passwd",
        "/v2/a/../b/manifests/latest",
        "/v2/a/./b/manifests/latest",
        "/v2/%2e%2e/%2e%2e/etc/passwd/manifests/latest",
        "/v2/a/blobs/..%2f..%2f..%2fetc%2fpasswd",
        "/v2/a/manifests/%00",
        "/v2/a/manifests/%zz",
        "/v2//manifests/latest",
        "/v2/a/manifests/",
        "/v2/a/blobs/",
        "/v2/a/referrers/",
    ),
)
def climbing(bench: Bench, path: str) -> None:
    with RawConnection(bench.wire) as connection:
        answer = connection.answer(connection.begin("GET", path, {"Accept": "*/*", "Connection": "close"}))
    holds(answer, 300 <= answer.status < 500, "no success and no error of the server")
