"""What a manifest refers to: absent blobs, layers that are never pushed, types nobody knows (end-7)."""

from ..bench import Bench
from ..expect import body, error_codes, holds, refused, status
from ..kinds import KINDS, Maker
from ..manifest import (
    DOCKER_IMAGE,
    DOCKER_LAYER,
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    Document,
    Manifest,
    descriptor,
    encode,
    image,
    index,
)
from ..plan import Level
from ..rule import Skip, algorithms, each, named, rule

FOREIGN = each(
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
)


def _absent(bench: Bench, kind: str, algorithm: str) -> Document:
    return {"mediaType": kind, "digest": bench.source.absent(algorithm), "size": 64}


def _lacking(bench: Bench, lack: str, algorithm: str) -> tuple[Manifest, bytes]:
    """A manifest whose content is to be pushed, and a document that also refers to something absent."""
    made = image(bench.source, algorithm)
    config, layer = (descriptor("x/y", data, algorithm) for data in made.blobs[:2])
    if lack == "config":
        document = {
            "config": _absent(bench, OCI_CONFIG, algorithm),
            "layers": [layer | {"mediaType": OCI_LAYER}],
        }
    elif lack == "layer":
        document = {
            "config": config | {"mediaType": OCI_CONFIG},
            "layers": [_absent(bench, OCI_LAYER, algorithm)],
        }
    else:
        document = {"manifests": [_absent(bench, OCI_IMAGE, algorithm)]}
    kind = OCI_INDEX if lack == "child" else OCI_IMAGE
    return made, encode({"schemaVersion": 2, "mediaType": kind, **document})


@rule(
    "push/manifests",
    "end-7",
    Level.MUST,
    "a manifest that lacks content is accepted, or turned down with MANIFEST_BLOB_UNKNOWN",
    each("config", "layer", "child"),
    algorithms,
)
def lacks_content(bench: Bench, lack: str, algorithm: str) -> None:
    repository = bench.repository()
    made, document = _lacking(bench, lack, algorithm)
    repository.push_content(made)
    answer = repository.put_manifest("sparse", OCI_INDEX if lack == "child" else OCI_IMAGE, document)
    if answer.status == 201:
        body(status(repository.manifest("sparse"), 200), document)
        return
    refused(answer, "content is missing")
    holds(answer, "MANIFEST_BLOB_UNKNOWN" in error_codes(answer), "MANIFEST_BLOB_UNKNOWN among the errors")


@rule(
    "push/manifests",
    "end-7",
    Level.MUST,
    "a manifest turned down for lack of content is not there",
    each("config", "layer", "child"),
)
def not_there(bench: Bench, lack: str) -> None:
    repository = bench.repository()
    made, document = _lacking(bench, lack, "sha256")
    repository.push_content(made)
    if repository.put_manifest("sparse", OCI_INDEX if lack == "child" else OCI_IMAGE, document).status == 201:
        raise Skip("the registry accepts manifests whose content is absent, as it may")
    status(repository.manifest("sparse"), 404)


@rule(
    "push/manifests",
    "image-spec: layer",
    Level.SHOULD,
    "layers that may not be distributed need not be there",
    FOREIGN,
    algorithms,
)
def foreign_layers(bench: Bench, kind: str, algorithm: str) -> None:
    repository = bench.repository()
    made = image(
        bench.source, algorithm, layers=[(OCI_LAYER, bench.source.blob(9)), (kind, bench.source.blob(10))]
    )
    for data in made.blobs[:2]:
        repository.push_blob(data, algorithm)
    status(repository.put_manifest("foreign", OCI_IMAGE, made.body), 201)
    body(status(repository.manifest("foreign"), 200), made.body)


@rule(
    "push/manifests",
    "image-spec: layer",
    Level.SHOULD,
    "a foreign layer with urls need not be there",
    FOREIGN,
)
def foreign_with_urls(bench: Bench, kind: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256", layers=[])
    repository.push_content(made)
    layer = _absent(bench, kind, "sha256") | {"urls": ["https://layers.example/one"]}
    document = made.body.replace(b'"layers":[]', b'"layers":[' + encode(layer) + b"]")
    status(repository.put_manifest("foreign", OCI_IMAGE, document), 201)


@rule("push/manifests", "end-7", Level.TRAP, "a foreign layer's blob can be pushed all the same", FOREIGN)
def foreign_present(bench: Bench, kind: str) -> None:
    repository, made = (
        bench.repository(),
        image(bench.source, "sha256", layers=[(kind, bench.source.blob(10))]),
    )
    repository.push(made, "foreign")
    body(status(repository.manifest("foreign"), 200), made.body)


@rule(
    "push/manifests",
    "image-spec: media types",
    Level.SHOULD,
    "layers of any type are stored",
    each(
        DOCKER_LAYER,
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.v1.tar+zstd+encrypted",
        "application/wasm",
        "application/vnd.ollama.image.model",
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
        "model/gltf-binary",
        "text/html",
        "X-Weird/Type.With-All+Of_It!#$&^",
    ),
)
def any_layer_type(bench: Bench, kind: str) -> None:
    repository, made = (
        bench.repository(),
        image(bench.source, "sha256", layers=[(kind, bench.source.blob(10))]),
    )
    repository.push(made, "typed")
    body(status(repository.manifest("typed"), 200), made.body)


@rule(
    "push/manifests",
    "end-7",
    Level.TRAP,
    "an index whose entries are blobs (a BuildKit cache) is stored",
    algorithms,
)
def cache_index(bench: Bench, algorithm: str) -> None:
    repository, layer, config = bench.repository(), bench.source.blob(90), bench.source.blob(40)
    for data in (layer, config):
        repository.push_blob(data, algorithm)
    entries = [
        descriptor(OCI_LAYER, layer, algorithm),
        descriptor("application/vnd.buildkit.cacheconfig.v0", config, algorithm),
    ]
    document = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    status(repository.put_manifest("cache", OCI_INDEX, document), 201)
    body(status(repository.manifest("cache"), 200), document)


@rule(
    "push/manifests",
    "end-7",
    Level.MUST,
    "all that a manifest refers to can be pulled",
    named(
        {
            name: KINDS[name]
            for name in (
                "image",
                "index",
                "index-nested",
                "docker-image",
                "docker-list",
                "artifact-empty-layer",
            )
        }
    ),
    algorithms,
)
def whole_tree(bench: Bench, make: Maker, algorithm: str) -> None:
    repository, made = bench.repository(), make(bench.source, algorithm)
    repository.push(made, "tree")
    waiting = [made]
    while waiting:
        one = waiting.pop()
        body(status(repository.manifest(one.digest if one is not made else "tree"), 200), one.body)
        for data in one.blobs:
            body(status(repository.blob(descriptor("", data, algorithm)["digest"]), 200), data)
        waiting.extend(one.children)


@rule("push/manifests", "end-7", Level.MUST, "a child may be listed by another algorithm than its index has")
def mixed_algorithms(bench: Bench) -> None:
    if not {"sha256", "sha512"} <= set(bench.plan.algorithms):
        raise Skip("the run is not asked for both sha256 and sha512")
    repository = bench.repository()
    made = index("sha256", [image(bench.source, "sha512"), image(bench.source, "sha256")])
    repository.push(made, "mixed")
    body(status(repository.manifest("mixed"), 200), made.body)


@rule("push/manifests", "docker schema 2", Level.TRAP, "a foreign layer of a Docker image need not be there")
def docker_foreign(bench: Bench) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256", media_type=DOCKER_IMAGE, layers=[])
    repository.push(made, "without")
    layer = _absent(bench, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "sha256")
    layer["urls"] = ["https://layers.example/one"]
    document = made.body.replace(b'"layers":[]', b'"layers":[' + encode(layer) + b"]")
    status(repository.put_manifest("foreign", DOCKER_IMAGE, document), 201)
