"""A small container image, made without any client: as a layout on disk, or pushed with plain HTTP."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from conformance.server import Server

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Blob:
    """Bytes and what they are called."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """`sha256:<hex>`"""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, object]:
        """The OCI descriptor."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(frozen=True)
class Image:
    """A manifest and what it needs."""

    manifest: Blob
    blobs: tuple[Blob, ...]


def tar(files: dict[str, bytes]) -> bytes:
    """An uncompressed tar of these files, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def image(text: str) -> Image:
    """An image of one layer with one file, `hello.txt`, that holds `text`."""
    layer_tar = tar({"hello.txt": text.encode()})
    layer = Blob(gzip.compress(layer_tar, mtime=0), LAYER)
    diff = f"sha256:{hashlib.sha256(layer_tar).hexdigest()}"
    config = Blob(
        json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": {"text": text}},
                "rootfs": {"type": "layers", "diff_ids": [diff]},
            }
        ).encode(),
        CONFIG,
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor,
        "layers": [layer.descriptor],
    }
    return Image(Blob(json.dumps(manifest).encode(), MANIFEST), (config, layer))


def write_layout(made: Image, folder: Path, tag: str) -> Path:
    """Write an OCI image layout with the image under `tag`."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for blob in (made.manifest, *made.blobs):
        (blobs / blob.digest.removeprefix("sha256:")).write_bytes(blob.content)
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    entry = made.manifest.descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


def push(server: Server, repository: str, tag: str, made: Image) -> str:
    """Push the image with plain HTTP; answers HOST/REPOSITORY@DIGEST."""
    base = f"{server.url}/v2/{repository}"
    with httpx.Client(timeout=60, trust_env=False) as http:
        for blob in made.blobs:
            session = http.post(f"{base}/blobs/uploads/").raise_for_status()
            location = session.url.join(session.headers["Location"])
            http.put(location.copy_add_param("digest", blob.digest), content=blob.content).raise_for_status()
        headers = {"Content-Type": made.manifest.media_type}
        http.put(f"{base}/manifests/{tag}", content=made.manifest.content, headers=headers).raise_for_status()
    return f"{server.host}/{repository}@{made.manifest.digest}"
