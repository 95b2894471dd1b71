"""Manifests whose JSON is written in unusual but valid ways keep their bytes (end-7)."""

import json

from ..bench import Bench
from ..digests import digest_of
from ..expect import body, status
from ..manifest import OCI_IMAGE, image
from ..plan import Level
from ..rule import algorithms, each, rule

FORMS = (
    "indented",
    "tabs and carriage returns",
    "leading and trailing whitespace",
    "newline at the end",
    "keys sorted",
    "keys reversed",
    "escaped letters",
    "escaped slashes",
    "letters beyond ASCII",
    "astral letters",
    "number forms",
    "large integers",
    "null and empty fields",
    "deep unknown field",
)


def _written(document: dict[str, object], form: str) -> bytes:
    compact = json.dumps(document, separators=(",", ":"))
    extra: dict[str, dict[str, object]] = {
        "letters beyond ASCII": {"x-note": "größe 世界 \u2028"},
        "astral letters": {"x-note": "\U0001f4e6\U0001f680"},
        "large integers": {"x-number": 2**80},
        "null and empty fields": {"x-null": None, "x-empty": {}, "x-list": [], "annotations": {}},
        "deep unknown field": {"x-deep": _deep(40)},
    }
    if form in extra:
        return json.dumps(document | extra[form], separators=(",", ":"), ensure_ascii=False).encode()
    written = {
        "indented": json.dumps(document, indent=3),
        "tabs and carriage returns": json.dumps(document, indent="\t").replace("\n", "\r\n"),
        "leading and trailing whitespace": f" \n\t{compact}\r\n  ",
        "newline at the end": compact + "\n",
        "keys sorted": json.dumps(document, sort_keys=True),
        "keys reversed": json.dumps(dict(reversed(document.items()))),
        "escaped letters": compact.replace("schemaVersion", "\\u0073chemaVersion"),
        "escaped slashes": compact.replace("/", "\\/"),
        "number forms": compact[:-1] + ',"x-numbers":[1.0,1e3,-0,-0.0,1E-7,100000000000000000000.5]}',
    }
    return written[form].encode()


def _deep(levels: int) -> object:
    return {"in": _deep(levels - 1)} if levels else []


@rule(
    "push/manifests",
    "end-7",
    Level.MUST,
    "a manifest keeps its bytes, however its JSON is written",
    each(*FORMS),
    each("by tag", "by digest"),
    algorithms,
)
def exact_bytes(bench: Bench, form: str, reference: str, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push_content(made)
    written = _written(json.loads(made.body), form)
    digest = digest_of(written, algorithm)
    status(repository.put_manifest("odd" if reference == "by tag" else digest, OCI_IMAGE, written), 201)
    body(status(repository.manifest("odd" if reference == "by tag" else digest), 200), written)


@rule("push/manifests", "end-7", Level.MUST, "two ways to write one document are two manifests", algorithms)
def two_writings(bench: Bench, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push_content(made)
    spaced = json.dumps(json.loads(made.body), indent=1).encode()
    for written in (made.body, spaced):
        status(repository.put_manifest(digest_of(written, algorithm), OCI_IMAGE, written), 201)
    for written in (made.body, spaced):
        body(status(repository.manifest(digest_of(written, algorithm)), 200), written)
