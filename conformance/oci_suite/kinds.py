"""Every kind of manifest that real clients push, each as a maker from a source of bytes and an algorithm."""

from collections.abc import Callable, Mapping

from . import manifest as m
from .digests import Source
from .manifest import Document, Manifest, image, index

Maker = Callable[[Source, str], Manifest]
SubjectMaker = Callable[[Source, str, Document], Manifest]

EMPTY = (m.OCI_EMPTY, b"{}")
AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
NOTARY = "application/vnd.cncf.notary.signature"


def _missing(source: Source, algorithm: str) -> Document:
    return {"mediaType": m.OCI_IMAGE, "digest": source.absent(algorithm), "size": 64}


def _notes(source: Source) -> dict[str, str]:
    return {
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "com.example.note": source.label("note ü "),
    }


def _docker_image(source: Source, algorithm: str) -> Manifest:
    config = (
        m.DOCKER_CONFIG,
        m.encode({"architecture": "amd64", "os": "linux", "seed": source.blob(8).hex()}),
    )
    return image(
        source,
        algorithm,
        media_type=m.DOCKER_IMAGE,
        config=config,
        layers=[(m.DOCKER_LAYER, source.blob(99))],
    )


def _two_platforms(source: Source, algorithm: str) -> Manifest:
    children = [image(source, algorithm), image(source, algorithm)]
    return index(algorithm, children, platforms=[AMD64, ARM64])


def _inline(source: Source, algorithm: str) -> Manifest:
    empty = m.descriptor(*EMPTY, algorithm) | {"data": "e30="}
    made = image(
        source, algorithm, config=EMPTY, layers=[EMPTY], artifact_type="application/vnd.example.inline"
    )
    return Manifest(
        made.media_type,
        m.encode(
            {
                "schemaVersion": 2,
                "mediaType": m.OCI_IMAGE,
                "artifactType": made.artifact_type,
                "config": empty,
                "layers": [empty],
                "annotations": {"seed": source.blob(8).hex()},
            }
        ),
        algorithm,
        made.blobs,
        (),
        made.artifact_type,
    )


def _untyped(source: Source, algorithm: str) -> Manifest:
    config, layer = m.encode({"seed": source.blob(8).hex()}), source.blob(80)
    document = {
        "schemaVersion": 2,
        "config": m.descriptor(m.OCI_CONFIG, config, algorithm),
        "layers": [m.descriptor(m.OCI_LAYER, layer, algorithm)],
    }
    return Manifest(m.OCI_IMAGE, m.encode(document), algorithm, (config, layer), (), m.OCI_CONFIG)


def _attested(source: Source, algorithm: str) -> Manifest:
    built = image(source, algorithm)
    statement = image(source, algorithm, layers=[("application/vnd.in-toto+json", source.blob(50))])
    return index(algorithm, [built, statement], platforms=[AMD64, UNKNOWN])


# kinds without a subject
KINDS: Mapping[str, Maker] = {
    "image": image,
    "image-no-layers": lambda s, a: image(s, a, layers=[]),
    "image-same-layer-twice": lambda s, a: image(
        s, a, layers=[(m.OCI_LAYER, layer := s.blob(70)), (m.OCI_LAYER, layer)]
    ),
    "image-annotations": lambda s, a: image(s, a, annotations=_notes(s)),
    "image-inline-data": _inline,
    "image-without-mediatype": _untyped,
    "image-unknown-fields": lambda s, a: image(
        s, a, extra={"org.example.future": {"deep": [1, 2.5, None, {"x": []}]}, "seed": s.blob(8).hex()}
    ),
    "image-unknown-types": lambda s, a: image(
        s,
        a,
        config=("application/x.config+odd", s.blob(20)),
        layers=[("text/x-odd", s.blob(21)), ("application/x", s.blob(22))],
    ),
    "artifact": lambda s, a: image(
        s,
        a,
        config=EMPTY,
        layers=[("text/plain", s.blob(40))],
        artifact_type="application/vnd.example.report.v1+json",
    ),
    "artifact-empty-layer": lambda s, a: image(
        s,
        a,
        config=EMPTY,
        layers=[EMPTY],
        artifact_type="application/vnd.example.marker",
        annotations=_notes(s),
    ),
    "artifact-config-type": lambda s, a: image(
        s,
        a,
        config=("application/vnd.example.model.config", s.blob(30)),
        layers=[("application/x-model", s.blob(90))],
    ),
    "artifact-empty-blob": lambda s, a: image(
        s, a, layers=[("application/octet-stream", b"")], artifact_type="application/vnd.example.nothing"
    ),
    "helm-chart": lambda s, a: image(
        s,
        a,
        config=(
            "application/vnd.cncf.helm.config.v1+json",
            m.encode({"name": s.label("chart"), "version": "1.0.0+x"}),
        ),
        layers=[("application/vnd.cncf.helm.chart.content.v1.tar+gzip", s.blob(60))],
    ),
    "index": _two_platforms,
    "index-empty": lambda s, a: index(a, [], annotations={"seed": s.blob(8).hex()}),
    "index-nested": lambda s, a: index(a, [index(a, [_two_platforms(s, a)]), image(s, a)]),
    "index-artifact-type": lambda s, a: index(
        a, [image(s, a)], artifact_type="application/vnd.example.bundle"
    ),
    "index-annotations": lambda s, a: index(a, [image(s, a)], annotations=_notes(s)),
    "index-unknown-fields": lambda s, a: index(a, [image(s, a)], extra={"x-future": {"n": [True, None]}}),
    "index-attestations": _attested,
    "index-of-docker": lambda s, a: index(a, [_docker_image(s, a)], platforms=[AMD64]),
    "docker-image": _docker_image,
    "docker-list": lambda s, a: index(
        a, [_docker_image(s, a), _docker_image(s, a)], media_type=m.DOCKER_LIST, platforms=[AMD64, ARM64]
    ),
}

# kinds that refer to a subject
REFERRERS: Mapping[str, SubjectMaker] = {
    "image": lambda s, a, to: image(s, a, subject=to),
    "image-annotations": lambda s, a, to: image(s, a, subject=to, annotations=_notes(s)),
    "artifact": lambda s, a, to: image(
        s,
        a,
        config=EMPTY,
        subject=to,
        artifact_type="application/vnd.example.sbom.v1+json",
        annotations=_notes(s),
    ),
    "artifact-empty-layer": lambda s, a, to: image(
        s,
        a,
        config=EMPTY,
        layers=[EMPTY],
        subject=to,
        artifact_type="application/vnd.example.tick",
        annotations=_notes(s),
    ),
    "cosign-bundle": lambda s, a, to: image(
        s,
        a,
        config=EMPTY,
        layers=[(BUNDLE, s.blob(60))],
        subject=to,
        artifact_type=BUNDLE,
        annotations=_notes(s),
    ),
    "notation-signature": lambda s, a, to: image(
        s, a, config=(NOTARY, b"{}"), layers=[("application/jose+json", s.blob(60))], subject=to
    ),
    "index": lambda s, a, to: index(a, [image(s, a)], subject=to),
    "index-artifact-type": lambda s, a, to: index(
        a, [image(s, a)], subject=to, artifact_type="application/vnd.example.set", annotations=_notes(s)
    ),
    "index-empty": lambda s, a, to: index(a, [], subject=to, annotations=_notes(s)),
}

# every kind, those with a subject referring to a manifest that does not exist
ALL_KINDS: Mapping[str, Maker] = {
    **KINDS,
    **{
        f"{name}-subject": lambda s, a, make=make: make(s, a, _missing(s, a))  # type: ignore[misc]
        for name, make in REFERRERS.items()
    },
}
