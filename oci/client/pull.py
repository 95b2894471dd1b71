"""An artifact's files into a folder, and never outside it.

Titles come from strangers. One that would leave the folder stops the pull before anything is written; a layer
without a usable title becomes `_layers/NNN-<12 hex>`, the name that the native API gives it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oci.client.download import Wanted, pull_blob
from oci.client.errors import ClientError, ContentError, UnreachableError
from oci.client.parallel import each
from oci.client.progress import Progress
from oci.client.registry import FetchedManifest, RegistryClient
from registry.contract.digest import Digest
from registry.contract.jsonvalue import parse
from registry.contract.manifest import OCI_EMPTY, TITLE, Descriptor, Manifest
from registry.contract.names import Repository
from registry.contract.package import PackageManifest, decode_package
from registry.contract.package_oci import PACKAGE_CONFIG, matches_oci_manifest
from registry.contract.package_rules import path_fault

_LARGEST_CONFIG = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A layer and the relative path that it gets."""

    relative_path: str
    wanted: Wanted


@dataclass(slots=True)
class Pulled:
    """What a pull did: paths fetched, paths that were there already, and why others failed."""

    fetched: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


async def plan_pull(
    registry: RegistryClient, repository: Repository, fetched: FetchedManifest
) -> tuple[PlannedFile, ...]:
    """The files of a manifest. Of a native package both digests of each file are known, and will be checked.

    Raises ContentError for an index and for paths that would escape, StoreError for a package config that
    does not belong to its manifest.
    """
    manifest = fetched.manifest
    if manifest.is_index:
        children = ", ".join(str(child.digest) for child in manifest.children[:5]) or "nothing"
        raise ContentError(f"this is an index of other manifests; pull one of them by its digest: {children}")
    further = await _package_digests(registry, repository, fetched)
    return tuple(
        PlannedFile(path, Wanted(layer.digest, layer.size, further.get(path, ())))
        for path, layer in name_layers(manifest)
    )


def name_layers(manifest: Manifest) -> tuple[tuple[str, Descriptor], ...]:
    """Each layer with its relative path. Raises ContentError for a title that leaves the folder."""
    layers = manifest.layers
    if all(layer.media_type == OCI_EMPTY for layer in layers) and len(layers) <= 1:
        return ()
    titles = [layer.annotations.get(TITLE, "") for layer in layers]
    for title in titles:
        if title.startswith("/") or ".." in title.replace("\\", "/").split("/"):
            raise ContentError(
                f"refused, nothing is written: the file {title!r} would lie outside the folder"
            )
    folders = {title[:end] for title in titles for end, letter in enumerate(title) if letter == "/"}
    times = Counter(titles)
    named: list[tuple[str, Descriptor]] = []
    for place, (title, layer) in enumerate(zip(titles, layers, strict=True)):
        usable = path_fault(title) is None and times[title] == 1 and title not in folders
        named.append((title if usable else f"_layers/{place:03}-{layer.digest.hex[:12]}", layer))
    return tuple(named)


async def pull_files(
    registry: RegistryClient,
    repository: Repository,
    files: Sequence[PlannedFile],
    folder: Path,
    *,
    progress: Progress,
    jobs: int,
) -> Pulled:
    """Fetch what `folder` does not have yet, `jobs` files at a time.

    One file's failure is noted and the others go on; a registry that cannot be reached ends the pull.
    """
    result = Pulled()
    groups: dict[Digest, list[PlannedFile]] = {}
    for file in files:
        groups.setdefault(file.wanted.digest, []).append(file)

    async def group(members: list[PlannedFile]) -> None:
        for file in members:
            try:
                target = prepare_target(folder, file.relative_path)
                new = await pull_blob(registry, repository, file.wanted, target, progress=progress)
                (result.fetched if new else result.present).append(file.relative_path)
            except UnreachableError:
                raise
            except ClientError as error:
                result.failed[file.relative_path] = str(error)

    await each(groups.values(), jobs, group)
    return result


def prepare_target(folder: Path, relative_path: str) -> Path:
    """The path below `folder`, its parents made. Raises ContentError where a link leads elsewhere."""
    target = folder / relative_path
    try:
        root = folder.resolve()
        for parent in reversed(target.parents):
            if (
                parent.is_relative_to(folder)
                and parent.is_symlink()
                and not parent.resolve().is_relative_to(root)
            ):
                raise ContentError(f"{parent} is a symbolic link out of the folder; nothing is written there")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            raise ContentError(f"{target} is a folder, and the artifact has a file there")
    except OSError as error:
        raise ContentError(f"cannot make {target.parent}: {error.strerror}") from None
    return target


async def _package_digests(
    registry: RegistryClient, repository: Repository, fetched: FetchedManifest
) -> Mapping[str, tuple[Digest, ...]]:
    package = await fetch_package(registry, repository, fetched)
    if package is None:
        return {}
    return {file.relative_path: (file.blake3,) for file in package.files}


async def fetch_package(
    registry: RegistryClient, repository: Repository, fetched: FetchedManifest
) -> PackageManifest | None:
    """The canonical manifest of a native package, checked against its OCI form; None for other artifacts."""
    config = fetched.manifest.config
    if config is None or config.media_type != PACKAGE_CONFIG:
        return None
    reply = await registry.transport.request(
        "GET", f"/v2/{repository}/blobs/{config.digest}", limit=_LARGEST_CONFIG
    )
    if Digest.of(reply.body, config.digest.algorithm) != config.digest:
        raise ContentError(f"{registry.transport.host} served a package config that is not {config.digest}")
    package = decode_package(reply.body)
    matches_oci_manifest(package, parse(fetched.data, max_bytes=len(fetched.data)))
    return package
