"""The work that is measured: a piece is done by one registry from an empty folder, and gives figures."""

import concurrent.futures
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from conformance.clients.golang import BIN
from conformance.peers import load
from conformance.peers.load import Load
from conformance.peers.material import Material
from conformance.peers.peers import Peer
from conformance.peers.running import Running, running
from conformance.server import program

#: By row and figure: `per_s` and what has another unit in its name; more is better of `per_s` alone.
Figures = Mapping[tuple[str, str], float]

_REPOSITORY = "bench/work"
_OTHER = "bench/other"
_CONNECTIONS = (1, 16)


@dataclass(frozen=True)
class Scale:
    """How much of everything. Sizes in MiB, times in seconds."""

    seconds: float = 5.0
    manifests: int = 2_000
    artifacts: int = 2_000
    big: int = 1_024
    part: int = 128
    parts: int = 8


SMOKE = Scale(seconds=1.0, manifests=100, artifacts=100, big=32, part=4, parts=4)


@dataclass(frozen=True)
class Work:
    """A piece of work: its name, and what does it with `peer` in `folder`."""

    name: str
    do: Callable[[Peer, Path, Scale, Material], Iterator[tuple[str, str, float]]]


def reads_of_one(
    peer: Peer, folder: Path, scale: Scale, _material: Material
) -> Iterator[tuple[str, str, float]]:
    """Manifest and blob reads where one manifest is stored; start and memory of an empty registry."""
    with running(peer, folder) as server:
        yield "start, nothing stored", "s", server.start_seconds
        yield "memory after the start", "mib", server.cost().rss_mib
        digests = _fill(server, 1, "one").digests
        yield from _manifest_reads(server, "1 manifest", ["one-0"], digests, scale)
        load.driver("artifacts", "-count=1", "-seed=a", f"{server.host}/{_REPOSITORY}")
        blob = f"/v2/{_REPOSITORY}/blobs/{_layer(server, 'a-0')}"
        for connections in _CONNECTIONS:
            with _metered(server) as meter:
                found = load.wrk(server.host, [blob], connections, scale.seconds, folder)
            yield from _of_requests(f"1 KiB blob GET, {connections} connections", found, meter)
        with _metered(server) as meter:
            found = load.requests(server.host, "HEAD", [blob], folder, connections=16, seconds=scale.seconds)
        yield from _of_requests("blob HEAD, 16 connections", found, meter)


def many_manifests(
    peer: Peer, folder: Path, scale: Scale, _material: Material
) -> Iterator[tuple[str, str, float]]:
    """Thousands of manifests in one repository: pushed, read, listed, referred to, started with, deleted."""
    count = scale.manifests
    few = 10
    with running(peer, folder) as server:
        _fill(server, few, "few")
        early = _page(server, f"/v2/{_REPOSITORY}/tags/list?n=100", folder)
        with _metered(server) as meter:
            filled = _fill(server, count, "many")
        yield from _of_requests(f"manifest PUT, to {count} tags, 8 at once", filled, meter)
        tags = [f"many-{n}" for n in range(count)]
        yield from _manifest_reads(server, f"{count} manifests", tags, filled.digests, scale)
        late = _page(server, f"/v2/{_REPOSITORY}/tags/list?n=100", folder)
        yield "tags page of 100, few tags", "p50_ms", early.p50_ms
        yield f"tags page of 100, {count} tags", "p50_ms", late.p50_ms
        yield f"tags page of 100, {count} tags", "growth", late.p50_ms / early.p50_ms
        if peer.referrers:
            yield from _referrers(server, folder, few, count)
    with running(peer, folder) as server:
        yield f"start, {count} manifests stored", "s", server.start_seconds
        if peer.deletes:
            yield from _deletes(server, folder, filled.digests)
        yield f"memory after {count} manifests and deletes", "peak_mib", server.cost().peak_mib
        if peer.ours:
            begun = time.monotonic()
            load.run(program(), "gc", "--data", folder / "data")
            yield f"collection after {count} deletes", "s", time.monotonic() - begun


def small_artifacts(
    peer: Peer, folder: Path, scale: Scale, _material: Material
) -> Iterator[tuple[str, str, float]]:
    """Artifacts of a 1 KiB layer, a config and a tag, pushed by oras-go."""
    with running(peer, folder) as server:
        with _metered(server) as meter:
            found = load.driver(
                "artifacts", f"-count={scale.artifacts}", "-at-once=8", f"{server.host}/{_REPOSITORY}"
            )
        row = "small artifacts as oras pushes them, 8 at once"
        yield from _of_requests(row, found, meter)
        yield row, "peak_mib", server.cost().peak_mib
        yield row, "stored_mib", server.stored_mib()


def big_blobs(peer: Peer, folder: Path, scale: Scale, material: Material) -> Iterator[tuple[str, str, float]]:
    """One big file pushed and pulled by the client on oras-go, then several at once."""
    oras = BIN / "oras-driver"
    with running(peer, folder) as server:
        name = f"{server.host}/{_REPOSITORY}"
        push = (oras, "push", "--plain-http", "--disable-path-validation")

        def pushed(tag: str, path: Path) -> None:
            load.run(*push, f"{name}:{tag}", path)

        with _metered(server) as meter:
            pushed("big", material.big)
        yield from _of_bytes(f"{scale.big} MiB push, oras-go", scale.big, meter)
        blob = f"http://{server.host}/v2/{_REPOSITORY}/blobs/{_layer(server, 'big')}"
        into = folder / "pulled"
        into.mkdir()
        with _metered(server) as meter:
            load.run(oras, "pull", "--plain-http", "--allow-path-traversal", "--output", into, f"{name}:big")
        yield from _of_bytes(f"{scale.big} MiB pull, oras-go", scale.big, meter)
        shutil.rmtree(into)
        with _metered(server) as meter:
            _at_once(scale.parts, lambda _: load.run("curl", "-sSf", "-o", "/dev/null", blob))
        total = scale.big * scale.parts
        yield from _of_bytes(f"{scale.parts} pulls of {scale.big} MiB at once, curl", total, meter)
        with _metered(server) as meter:
            _at_once(scale.parts, lambda n: pushed(f"part-{n}", material.parts[n]))
        total = scale.part * scale.parts
        yield from _of_bytes(f"{scale.parts} pushes of {scale.part} MiB at once, oras-go", total, meter)
        yield "memory after big files", "peak_mib", server.cost().peak_mib
        yield "stored after big files", "stored_mib", server.stored_mib()


WORK = (
    Work("reads", reads_of_one),
    Work("many", many_manifests),
    Work("artifacts", small_artifacts),
    Work("big", big_blobs),
)


def figures(work: Work, peer: Peer, folder: Path, scale: Scale, material: Material) -> Figures:
    """Do the work. Raises LoadError and RuntimeError when the registry does not."""
    return {(row, figure): value for row, figure, value in work.do(peer, folder, scale, material)}


@dataclass
class _Meter:
    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def _metered(server: Running) -> Iterator[_Meter]:
    """Wall time, and CPU seconds of the server's processes."""
    meter, cpu, begun = _Meter(), server.cost().cpu, time.monotonic()
    yield meter
    meter.seconds, meter.cpu = time.monotonic() - begun, server.cost().cpu - cpu


def _of_requests(row: str, found: Load, meter: _Meter) -> Iterator[tuple[str, str, float]]:
    yield row, "per_s", found.rate
    yield row, "cpu_us", meter.cpu / found.done * 1e6
    yield row, "p50_ms", found.p50_ms
    yield row, "p99_ms", found.p99_ms


def _of_bytes(row: str, mib: float, meter: _Meter) -> Iterator[tuple[str, str, float]]:
    yield row, "s", meter.seconds
    yield row, "cpu_s_per_gib", meter.cpu / mib * 1024


def _fill(server: Running, count: int, seed: str, *more: str, repository: str = _REPOSITORY) -> Load:
    arguments = (f"-count={count}", f"-seed={seed}", "-at-once=8", *more)
    return load.driver("fill", *arguments, f"{server.host}/{repository}")


def _manifest_reads(
    server: Running, stored: str, tags: Sequence[str], digests: Sequence[str], scale: Scale
) -> Iterator[tuple[str, str, float]]:
    by = {"tag": tags, "digest": digests}
    for kind, references in by.items():
        paths = [f"/v2/{_REPOSITORY}/manifests/{reference}" for reference in references]
        for connections in _CONNECTIONS:
            row = f"by {kind}, {stored}, {connections} connections"
            with _metered(server) as meter:
                found = load.wrk(server.host, paths, connections, scale.seconds, server.folder)
            yield from _of_requests(f"manifest GET {row}", found, meter)
        with _metered(server) as meter:
            found = load.requests(
                server.host, "HEAD", paths, server.folder, connections=16, seconds=scale.seconds
            )
        yield from _of_requests(f"manifest HEAD by {kind}, {stored}, 16 connections", found, meter)


def _page(server: Running, path: str, folder: Path) -> Load:
    return load.requests(server.host, "GET", [path] * 50, folder)


def _referrers(server: Running, folder: Path, few: int, count: int) -> Iterator[tuple[str, str, float]]:
    medians = []
    for number in (few, count):
        subject = _fill(server, 1, f"subject-{number}").digests[0]
        _fill(server, number, f"referrer-{number}", "-tag=false", f"-subject={subject}")
        found = _page(server, f"/v2/{_REPOSITORY}/referrers/{subject}", folder)
        medians.append(found.p50_ms)
        yield f"referrers, {number} of one subject", "p50_ms", found.p50_ms
    yield f"referrers, {count} of one subject", "growth", medians[1] / medians[0]


def _deletes(server: Running, folder: Path, digests: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """All of them one after the other, while somebody else reads."""
    _fill(server, 1, "probe", repository=_OTHER)
    probe = [f"/v2/{_OTHER}/manifests/probe-0"]
    paths = [f"/v2/{_REPOSITORY}/manifests/{digest}" for digest in digests]
    row = f"{len(digests)} manifest DELETEs, one after the other"
    with concurrent.futures.ThreadPoolExecutor(1) as pool, _metered(server) as meter:
        deleting = pool.submit(load.requests, server.host, "DELETE", paths, folder, name="deletes")
        slowest = 0.0
        while not deleting.done():
            slowest = max(slowest, load.requests(server.host, "GET", probe, folder, seconds=0.5).p99_ms)
        found = deleting.result()
    yield row, "s", found.seconds
    yield row, "cpu_us", meter.cpu / found.done * 1e6
    yield row, "p99_ms of a reader", slowest


def _layer(server: Running, tag: str) -> str:
    """The digest of the artifact's only layer."""
    answer = httpx.get(
        f"http://{server.host}/v2/{_REPOSITORY}/manifests/{tag}",
        headers={"Accept": load.MANIFEST},
        trust_env=False,
    )
    digest: str = answer.raise_for_status().json()["layers"][0]["digest"]
    return digest


def _at_once(count: int, work: Callable[[int], object]) -> None:
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))
