"""Random histories against a simple model; and whatever happened, a rebuild gives the same views.

They run over memory, over local files, and over a bucket and PostgreSQL, where each step is taken by another
of two replicas than the step before.

More examples: HISTORIES=500 in the environment (the default suits CI).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, RetrievalTier
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import NewFile, NewPackage
from registry.contract.names import Repository, Tag
from registry.dataplane import open_local, open_memory, open_s3
from tests.control.servers import PostgresServer
from tests.control.tiers.saying import say_tier
from tests.control.world import (
    FakeClock,
    FakeIdentifiers,
    World,
    blake3,
    descriptor,
    image,
    index,
    once,
    open_world,
    sha256,
)
from tests.objectstore.seaweed import SeaweedServer

T = TypeVar("T")

REPOSITORIES = [Repository(name) for name in ("a", "a/b", "b-c")]
PAYLOADS = [f"payload {number}".encode() for number in range(5)]
TAGS = [Tag(name) for name in ("v1", "v2", "latest", "Z")]
VARIANT = "demo.kind.v1"

repositories = st.sampled_from(REPOSITORIES)
payloads = st.sampled_from(PAYLOADS)
tags = st.sampled_from(TAGS)
layers = st.lists(payloads, max_size=3)
algorithms = st.sampled_from(list(Algorithm))


@dataclass
class Held:
    """A manifest of the model: what it names, by payload or by the bytes of a child."""

    names: set[bytes]
    subject: str | None = None


@dataclass
class RepositoryModel:
    """What a repository should have. Manifests stand in the order in which they came."""

    blobs: set[bytes] = field(default_factory=set)
    manifests: dict[bytes, Held] = field(default_factory=dict)
    tags: dict[str, bytes] = field(default_factory=dict)

    def users(self, named: bytes) -> list[bytes]:
        return [data for data, held in self.manifests.items() if named in held.names]


@dataclass(frozen=True)
class Place:
    """Where a fresh store is: its database, and its content as a replica opens it."""

    database: str | Path
    open: Callable[[], Awaitable[DataPlane]]
    replicas: int = 1


class Histories(RuleBasedStateMachine):
    """The store beside the model. Every rule says what must come of it."""

    #: Makes a place for a store, given a folder.
    new_place: Callable[[Path], Place]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.worlds = self.run(self.open(type(self).new_place(Path(self.folder.name))))
        self.turns = itertools.cycle(self.worlds)
        self.model: dict[Repository, RepositoryModel] = {}
        self.missing: set[bytes] = set()
        self.away: set[bytes] = set()
        self.known: set[bytes] = set()
        self.leased: set[bytes] = set()
        self.bytes_of: dict[str, bytes] = {}
        self.checked = True

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def world(self) -> World:
        """Each time another of the replicas."""
        return next(self.turns)

    async def open(self, place: Place) -> list[World]:
        clock, identifiers = FakeClock(), FakeIdentifiers()
        worlds = []
        for _ in range(place.replicas):
            dataplane = await place.open()
            self.stack.push_async_callback(dataplane.close)
            world = open_world(place.database, dataplane, clock=clock, identifiers=identifiers)
            worlds.append(await self.stack.enter_async_context(world))
        return worlds

    def teardown(self) -> None:
        try:
            self.sound()
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def expect(self, kind: ErrorKind | None, work: Awaitable[T]) -> T | None:
        """Run `work`; it must end as `kind` says, and a refusal changes nothing."""

        async def outcome() -> T | None:
            head = await self.world.head()
            try:
                result = await work
            except StoreError as error:
                assert error.kind is kind, error
                assert await self.world.head() == head
                return None
            assert kind is None, f"{kind} was expected"
            return result

        self.checked = False
        return self.run(outcome())

    def of(self, repository: Repository) -> RepositoryModel:
        return self.model.setdefault(repository, RepositoryModel())

    # --- content ---------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        for repository in REPOSITORIES[:2]:
            self.stored(repository, b"{}")

    def arrived(self, payload: bytes) -> None:
        """Bytes that are pushed again are at hand again, whatever had become of them."""
        self.missing.discard(payload)
        self.away.discard(payload)

    def stored(self, repository: Repository, payload: bytes, algorithm: Algorithm = Algorithm.SHA256) -> None:
        self.expect(None, self.world.push_blob(payload, repository, algorithm))
        self.of(repository).blobs.add(payload)
        self.known.add(payload)
        self.arrived(payload)

    @rule(repository=repositories, payload=payloads, algorithm=algorithms)
    def push_blob(self, repository: Repository, payload: bytes, algorithm: Algorithm) -> None:
        self.stored(repository, payload, algorithm)

    @rule(payload=payloads)
    def upload_natively(self, payload: bytes) -> None:
        async def upload() -> None:
            uploads = self.world.session.uploads
            session = await uploads.create(None, size=len(payload))
            await uploads.append(None, session.id, once(payload), offset=0)
            content = await uploads.complete(None, session.id, sha256(payload))
            assert content.blake3 == blake3(payload)

        self.expect(None, upload())
        self.known.add(payload)
        self.leased.add(payload)
        self.arrived(payload)

    @rule(source=repositories, destination=repositories, payload=payloads, named=st.booleans())
    def mount(self, source: Repository, destination: Repository, payload: bytes, named: bool) -> None:
        visible = self.readable(payload) if not named else payload in self.peek(source).blobs
        possible = visible and payload not in self.missing
        work = self.world.session.blobs.mount(destination, blake3(payload), source if named else None)
        assert self.expect(None, work) is possible
        if possible:
            self.of(destination).blobs.add(payload)

    @rule(repository=repositories, payload=payloads)
    def delete_blob(self, repository: Repository, payload: bytes) -> None:
        model = self.peek(repository)
        kind = None
        if payload not in model.blobs:
            kind = ErrorKind.BLOB_UNKNOWN
        elif model.users(payload):
            kind = ErrorKind.IN_USE
        self.expect(kind, self.world.session.blobs.delete(repository, sha256(payload)))
        if kind is None:
            model.blobs.discard(payload)

    @precondition(lambda self: self.known - self.missing - self.away - {b"{}"})
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """Bytes go behind the store's back, and the next reader who does not find them in memory notes it."""
        payload = data.draw(st.sampled_from(sorted(self.known - self.missing - self.away - {b"{}"})))
        holders = [name for name, model in self.model.items() if payload in model.blobs]
        if not holders:
            return
        self.run(self.world.dataplane.remove(DEFAULT_DOMAIN, blake3(payload)))
        for world in self.worlds:
            world.store.core.manifest_cache.drop(DEFAULT_DOMAIN, blake3(payload))
        with pytest.raises(StoreError) as caught:
            self.run(self.world.session.blobs.get(holders[0], sha256(payload)))
        assert caught.value.kind is ErrorKind.BLOB_UNKNOWN
        self.missing.add(payload)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), tier=st.sampled_from(list(RetrievalTier)))
    def change_tier(self, data: st.DataObject, tier: RetrievalTier) -> None:
        payload = data.draw(st.sampled_from(sorted(self.known)))
        core = self.world.store.core
        self.expect(None, say_tier(core, DEFAULT_DOMAIN, blake3(payload), tier))
        cold = tier in {RetrievalTier.COLD, RetrievalTier.ARCHIVE}
        (self.away.add if cold else self.away.discard)(payload)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        payload = data.draw(st.sampled_from(sorted(self.away)))
        kind = None if self.readable(payload) and payload not in self.missing else ErrorKind.CONTENT_UNKNOWN
        self.expect(kind, self.world.session.contents.restore(sha256(payload)))
        if kind is None:
            self.away.discard(payload)

    # --- manifests -------------------------------------------------------------------------------------

    def put(
        self, repository: Repository, tag: Tag | None, document: bytes, names: set[bytes], subject: str | None
    ) -> None:
        model = self.peek(repository)
        absent = {name for name in names if name not in model.blobs and name not in model.manifests}
        kind = ErrorKind.MANIFEST_CHILD_UNKNOWN if absent or names & self.missing else None
        self.expect(kind, self.world.push_manifest(tag, document, repository))
        if kind is None:
            self.stand(repository, tag, document, Held(names, subject))

    def stand(self, repository: Repository, tag: Tag | None, document: bytes, held: Held) -> None:
        model = self.of(repository)
        model.manifests.setdefault(document, held)
        self.bytes_of[str(sha256(document))] = document
        if tag is not None:
            model.tags[tag] = document

    @rule(repository=repositories, tag=st.none() | tags, layers=layers, mark=st.integers(0, 2))
    def push_image(self, repository: Repository, tag: Tag | None, layers: list[bytes], mark: int) -> None:
        document = image(layers, annotations={"mark": str(mark)})
        self.put(repository, tag, document, {b"{}", *layers}, None)

    @rule(repository=repositories, layers=layers, subject=st.binary(max_size=1), data=st.data())
    def push_referrer(
        self, repository: Repository, layers: list[bytes], subject: bytes, data: st.DataObject
    ) -> None:
        there = sorted(self.peek(repository).manifests)
        about = data.draw(st.sampled_from(there)) if there else subject
        document = image(layers, artifactType="application/vnd.demo", subject=descriptor(about, "a/b"))
        self.put(repository, None, document, {b"{}", *layers}, str(sha256(about)))

    @rule(repository=repositories, tag=st.none() | tags, data=st.data())
    def push_index(self, repository: Repository, tag: Tag | None, data: st.DataObject) -> None:
        everywhere = sorted({document for model in self.model.values() for document in model.manifests})
        children = data.draw(st.lists(st.sampled_from(everywhere), max_size=2)) if everywhere else []
        self.put(repository, tag, index(children), set(children), None)

    @rule(repository=repositories, tag=tags)
    def delete_tag(self, repository: Repository, tag: Tag) -> None:
        model = self.peek(repository)
        kind = None if tag in model.tags else ErrorKind.MANIFEST_UNKNOWN
        self.expect(kind, self.world.session.manifests.delete(repository, tag))
        model.tags.pop(tag, None)

    @rule(repository=repositories, data=st.data())
    def delete_manifest(self, repository: Repository, data: st.DataObject) -> None:
        model = self.peek(repository)
        document = data.draw(st.sampled_from(sorted(model.manifests) or [b"unknown"]))
        kind = None
        if document not in model.manifests:
            kind = ErrorKind.MANIFEST_UNKNOWN
        elif model.users(document):
            kind = ErrorKind.IN_USE
        self.expect(kind, self.world.session.manifests.delete(repository, sha256(document)))
        if kind is None:
            del model.manifests[document]
            model.tags = {tag: at for tag, at in model.tags.items() if at != document}

    # --- packages --------------------------------------------------------------------------------------

    @rule(repository=repositories, tag=tags, files=st.sets(payloads, max_size=2), typed=st.booleans())
    def put_package(self, repository: Repository, tag: Tag, files: set[bytes], typed: bool) -> None:
        package = NewPackage(
            variant=VARIANT if typed else None,
            metadata={"n": 1},
            labels={"team": "a"},
            files=tuple(NewFile(f"f{number}", blake3(data)) for number, data in enumerate(sorted(files))),
        )
        absent = {data for data in files if not self.readable(data) or data in self.missing}
        kind = ErrorKind.VALIDATION_FAILED if absent else None
        stands = self.peek(repository).tags.get(tag)
        if stands is not None and kind is None:
            self.put_again(repository, tag, package, stands)
            return
        accepted = self.expect(kind, self.world.session.packages.put(repository, tag, package))
        if accepted is None:
            return
        assert accepted.created
        stored = self.run(self.world.session.manifests.get(repository, tag))
        layers = files or {b"{}"}  # the empty layer stands for "no files"
        self.of(repository).blobs |= layers
        self.stand(repository, tag, stored.data, Held(set(layers)))

    def put_again(self, repository: Repository, tag: Tag, package: NewPackage, stands: bytes) -> None:
        """Under a taken version: the same changes nothing, anything else is refused."""

        async def put() -> None:
            head = await self.world.head()
            try:
                accepted = await self.world.session.packages.put(repository, tag, package)
            except StoreError as error:
                assert error.kind is ErrorKind.CONFLICT
            else:
                assert not accepted.created
                assert accepted.package.manifest_digest == sha256(stands)
            assert await self.world.head() == head

        self.run(put())

    @rule(repository=repositories, tag=tags, payload=payloads)
    def draft(self, repository: Repository, tag: Tag, payload: bytes) -> None:
        drafts = self.world.session.drafts
        taken = tag in self.peek(repository).tags
        kind = ErrorKind.CONFLICT if taken else None
        work = drafts.put_file(repository, tag, "file", "text/plain", once(payload), length=len(payload))
        self.expect(kind, work)
        if taken:
            return
        self.known.add(payload)
        self.leased.add(payload)
        self.arrived(payload)
        self.expect(None, drafts.finalize(repository, tag, NewPackage(labels={"from": "draft"})))
        stored = self.run(self.world.session.manifests.get(repository, tag))
        self.of(repository).blobs.add(payload)
        self.stand(repository, tag, stored.data, Held({payload}))

    @rule(source=repositories, destination=repositories, tag=tags, data=st.data())
    def promote(self, source: Repository, destination: Repository, tag: Tag, data: st.DataObject) -> None:
        there = sorted(self.peek(source).manifests)
        document = data.draw(st.sampled_from(there or [b"unknown"]))
        model = self.peek(destination)
        kind = None
        reached = self.reach(source, document) if there else []
        if not there:
            kind = ErrorKind.PACKAGE_UNKNOWN
        elif tag in model.tags:
            kind = None if model.tags[tag] == document else ErrorKind.CONFLICT
        elif any(self.peek(source).manifests[part].names & self.missing for part in reached):
            kind = ErrorKind.MANIFEST_CHILD_UNKNOWN
        work = self.world.session.packages.promote(destination, tag, source, sha256(document))
        accepted = self.expect(kind, work)
        if accepted is None or not accepted.created:
            return
        for part in reached:
            held = self.peek(source).manifests[part]
            self.of(destination).blobs |= {name for name in held.names if name in self.peek(source).blobs}
            self.stand(destination, None, part, held)
        self.of(destination).tags[tag] = document

    def reach(self, repository: Repository, document: bytes) -> list[bytes]:
        """The manifest and all below it, children first."""
        manifests = self.peek(repository).manifests
        children = [name for name in self.children(document) if name in manifests]
        below = [part for child in children for part in self.reach(repository, child)]
        return [*below, document]

    def children(self, document: bytes) -> list[bytes]:
        listed = json.loads(document).get("manifests", [])
        return [self.bytes_of[child["digest"]] for child in listed if child["digest"] in self.bytes_of]

    @rule(required=st.sampled_from(["n", "m"]))
    def put_schema(self, required: str) -> None:
        self.expect(None, self.world.session.schemas.put(VARIANT, {"properties": {required: {}}}))

    @rule()
    def delete_schema(self) -> None:
        async def delete() -> None:
            try:
                await self.world.session.schemas.delete(VARIANT)
            except StoreError as error:
                assert error.kind is ErrorKind.SCHEMA_UNKNOWN

        self.run(delete())

    # --- what must hold --------------------------------------------------------------------------------

    def peek(self, repository: Repository) -> RepositoryModel:
        return self.model.get(repository) or RepositoryModel()

    def readable(self, payload: bytes) -> bool:
        return payload in self.leased or any(payload in model.blobs for model in self.model.values())

    @invariant()
    def lists_are_those_of_the_model(self) -> None:
        if self.checked:
            return
        self.checked = True
        self.run(self.compare())

    async def compare(self) -> None:
        session = self.world.session
        catalog = await session.manifests.repositories(after=None, limit=100)
        assert list(catalog.items) == sorted(self.model)
        for repository, model in self.model.items():
            found = await session.manifests.tags(repository, after=None, limit=100)
            assert list(found.items) == sorted(model.tags)
            for tag, document in model.tags.items():
                assert (await session.manifests.get(repository, Tag(tag))).data == document
            subjects = {held.subject for held in model.manifests.values()} - {None}
            for subject in sorted(map(str, subjects)):
                listed = await session.manifests.referrers(
                    repository, Digest.parse(subject), artifact_type=None, after=None, limit=100
                )
                about = [data for data, held in model.manifests.items() if held.subject == subject]
                assert [entry.digest for entry in listed.items] == [sha256(data) for data in about]
            for payload in PAYLOADS:
                await self.compare_blob(repository, model, payload)

    async def compare_blob(self, repository: Repository, model: RepositoryModel, payload: bytes) -> None:
        try:
            reading = await self.world.session.blobs.get(repository, sha256(payload))
        except StoreError as error:
            assert error.kind is ErrorKind.BLOB_UNKNOWN
            assert payload not in model.blobs or payload in self.missing
        else:
            assert reading.size == len(payload)
            assert payload in model.blobs
            assert payload not in self.missing

    @precondition(lambda self: not self.missing)
    @rule()
    def sound_now_and_then(self) -> None:
        self.run(self.world.check())

    def sound(self) -> None:
        for payload in sorted(self.missing):
            self.stored(REPOSITORIES[0], payload)
        self.run(self.compare())
        self.run(self.world.check())


def in_memory(folder: Path, request: pytest.FixtureRequest) -> Place:
    async def opened() -> DataPlane:
        return open_memory()

    return Place(folder / "ledger.sqlite", opened)


def in_files(folder: Path, request: pytest.FixtureRequest) -> Place:
    async def opened() -> DataPlane:
        return open_local(folder / "data")

    return Place(folder / "ledger.sqlite", opened)


def in_services(folder: Path, request: pytest.FixtureRequest) -> Place:
    server: PostgresServer = request.getfixturevalue("postgres")
    objects: SeaweedServer = request.getfixturevalue("seaweed")
    bucket = objects.settings(uuid.uuid4().hex)
    return Place(server.new_database(), lambda: open_s3(bucket), replicas=2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", [in_memory, in_files, in_services])
def test_histories(
    place: Callable[[Path, pytest.FixtureRequest], Place], request: pytest.FixtureRequest
) -> None:
    examples = int(os.environ.get("HISTORIES", "8"))
    if place is in_services:  # each takes eight times as long
        examples = -(-examples // 2)

    class Machine(Histories):
        new_place = staticmethod(lambda folder: place(folder, request))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
