"""Tags: what they may be called, and that they point where they were last put (end-7)."""

from ..bench import Bench
from ..expect import body, document, holds, status
from ..kinds import KINDS, Maker
from ..manifest import image
from ..plan import Level
from ..rule import named, rule

NAMES = named(
    {
        "one letter": "a",
        "one digit": "0",
        "underscore first": "_x",
        "dots": "v1.2.3",
        "capitals": "RELEASE",
        "dashes": "a-b--c",
        "ends in a dot": "end.",
        "digits": "1234567890",
        "longest": "t" * 128,
        "like a digest": "sha256-" + "a" * 64,
        "cosign signature": "sha256-" + "b" * 64 + ".sig",
        "cosign attestation": "sha256-" + "c" * 64 + ".att",
        "helm version": "1.0.0_build.5",
        "word of the API": "manifests",
        "list": "list",
    }
)


@rule("push/tags", "end-7", Level.MUST, "every tag that the grammar allows can be pushed and pulled", NAMES)
def names(bench: Bench, tag: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push(made, tag)
    body(status(repository.manifest(tag), 200), made.body)


@rule(
    "push/tags",
    "end-7",
    Level.MUST,
    "a tag that moves points to its new manifest at once",
    named({name: KINDS[name] for name in ("image", "index", "artifact", "docker-image", "docker-list")}),
)
def moves(bench: Bench, make: Maker) -> None:
    repository, old, new = bench.repository(), image(bench.source, "sha256"), make(bench.source, "sha256")
    repository.push(old, "moving")
    body(status(repository.manifest("moving"), 200), old.body)
    repository.push(new, "moving")
    for _ in range(3):
        answer = status(repository.manifest("moving"), 200)
        body(answer, new.body)
        holds(answer, answer.header("Content-Type") == new.media_type, f"Content-Type: {new.media_type}")


@rule("push/tags", "end-3", Level.TRAP, "a manifest that lost its tag is there by digest")
def old_by_digest(bench: Bench) -> None:
    repository, old, new = bench.repository(), image(bench.source, "sha256"), image(bench.source, "sha256")
    repository.push(old, "moving")
    repository.push(new, "moving")
    body(status(repository.manifest(old.digest), 200), old.body)


@rule("push/tags", "end-7", Level.MUST, "a tag that moves back and forth always points to the last")
def back_and_forth(bench: Bench) -> None:
    repository = bench.repository()
    both = [image(bench.source, "sha256") for _ in range(2)]
    for made in both:
        repository.push(made)
    for turn in range(6):
        made = both[turn % 2]
        status(repository.put_manifest("flag", made.media_type, made.body), 201)
        body(status(repository.manifest("flag"), 200), made.body)


@rule("push/tags", "end-8a", Level.MUST, "a tag that moves is listed once")
def listed_once(bench: Bench) -> None:
    repository = bench.repository()
    for _ in range(3):
        repository.push(image(bench.source, "sha256"), "moving")
    answer = status(repository.tags(), 200)
    holds(answer, document(answer).get("tags") == ["moving"], 'tags: ["moving"]', answer.body[:200].decode())


@rule("push/tags", "end-7", Level.MUST, "one manifest may have many tags")
def many_tags(bench: Bench) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    tags = [f"t{number:02}" for number in range(20)]
    for tag in tags:
        repository.push(made, tag)
    for tag in tags:
        body(status(repository.manifest(tag), 200), made.body)
    answer = status(repository.tags(), 200)
    holds(answer, document(answer).get("tags") == tags, f"tags: {tags}", answer.body[:400].decode())


@rule("push/tags", "end-7", Level.TRAP, "tags that differ in capitals only are two tags")
def capitals(bench: Bench) -> None:
    repository, small, large = (
        bench.repository(),
        image(bench.source, "sha256"),
        image(bench.source, "sha256"),
    )
    repository.push(small, "latest")
    repository.push(large, "Latest")
    body(status(repository.manifest("latest"), 200), small.body)
    body(status(repository.manifest("Latest"), 200), large.body)
