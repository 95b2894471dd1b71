"""Keys of domains: wrapped by a provider, rotated without touching data, and destroyed for good."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DataPlane, DomainId, Packing
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import (
    CommandProvider,
    KeyName,
    KeyProvider,
    KeyRing,
    LocalProvider,
    environment_provider,
    file_provider,
    open_local,
)
from registry.dataplane.drivers.port import Corrupt, Transient
from tests.dataplane.packed import SMALL
from tests.dataplane.sealed import KEK, sealing
from tests.dataplane.support import body, new_stage

OTHER = DomainId("other")
NAME = KeyName(DEFAULT_DOMAIN, bytes(16))
TEXT = base64.b64encode(KEK).decode()

#: A stand-in for a key service's client: binds the names, notes what it was asked in a file.
COMMAND = """
import hashlib, sys
operation, domain, key = sys.argv[2:]
data = sys.stdin.buffer.read()
pad = hashlib.sha512((domain + key).encode()).digest() * 2
with open(sys.argv[1], "a") as log:
    print(operation, domain, key, file=log)
if operation == "wrap":
    sys.stdout.buffer.write(b"wrapped" + bytes(a ^ b for a, b in zip(data, pad)))
elif data.startswith(b"wrapped"):
    sys.stdout.buffer.write(bytes(a ^ b for a, b in zip(data[7:], pad)))
else:
    sys.exit("not mine")
"""


def command(tmp_path: Path) -> CommandProvider:
    program = tmp_path / "program.py"
    program.write_text(COMMAND)
    return CommandProvider((sys.executable, str(program), str(tmp_path / "log")), "hsm:test")


def key_file(tmp_path: Path) -> KeyProvider:
    (tmp_path / "key").write_text(TEXT + "\n")
    return file_provider(tmp_path / "key")


def variable(tmp_path: Path) -> KeyProvider:
    return environment_provider("STORE_KEY", {"STORE_KEY": TEXT})


@pytest.mark.parametrize("make", [key_file, variable, command])
def test_a_provider_unwraps_what_it_wrapped_under_the_same_name(
    tmp_path: Path, make: Callable[[Path], KeyProvider]
) -> None:
    provider, key = make(tmp_path), os.urandom(32)
    wrapped = provider.wrap(NAME, key)
    assert key not in wrapped
    assert make(tmp_path).unwrap(NAME, wrapped) == key
    for other in (KeyName(OTHER, NAME.id), KeyName(DEFAULT_DOMAIN, b"1" * 16)):
        with suppress(Corrupt):
            assert provider.unwrap(other, wrapped) != key


def test_providers_of_one_key_have_one_id_and_of_another_another(tmp_path: Path) -> None:
    assert key_file(tmp_path).id == variable(tmp_path).id
    assert key_file(tmp_path).id != LocalProvider(bytes(32)).id
    assert TEXT not in key_file(tmp_path).id


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(31)).decode(), "!" * 44])
def test_what_is_no_key_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(StoreError, match="openssl rand -base64 32"):
        file_provider(tmp_path / "key")
    with pytest.raises(StoreError, match="the variable STORE_KEY"):
        environment_provider("STORE_KEY", {"STORE_KEY": text})


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("/does/not/exist",), "cannot be started"),
        (("sh", "-c", "exit 3"), "status 3"),
        (("sh", "-c", "sleep 5"), "did not wrap"),
        (("true",), "no wrapped key"),
        (("sh", "-c", "cat"), "no wrapped key"),
    ],
)
def test_a_command_that_fails_says_how(argv: tuple[str, ...], says: str) -> None:
    provider = CommandProvider(argv, "x", timeout=0.2)
    with pytest.raises(Transient, match=says):
        provider.wrap(NAME, os.urandom(32))


async def fill(store: DataPlane, domain: DomainId = DEFAULT_DOMAIN) -> dict[Content, bytes]:
    """A tiny object, a packed one and a loose one."""
    contents = {}
    for size in (100, 100_000):
        data = os.urandom(size)
        contents[await store.put(domain, data)] = data
    async for _ in store.pack(Packing()):
        pass
    data = os.urandom(90_000)
    contents[await store.put(domain, data)] = data
    return contents


async def readable(store: DataPlane, contents: dict[Content, bytes], domain: DomainId) -> None:
    for content, data in contents.items():
        assert await store.get(domain, content.blake3, 1 << 20) == data
        assert (await store.verify(domain, content.blake3)).fault is None


def files(root: Path) -> dict[str, bytes]:
    """Everything but the keys and the index, which notes when the store was opened."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] in ("content", "packs") and path.suffix
    }


async def test_a_key_is_made_on_first_use_and_kept_wrapped(tmp_path: Path) -> None:
    ring = sealing(tmp_path)
    assert list(ring.states()) == []
    store = open_local(tmp_path, settings=SMALL, keys=ring)
    contents = await fill(store)
    (state,) = ring.states()
    assert (state.domain, state.provider, state.current) == (DEFAULT_DOMAIN, LocalProvider(KEK).id, True)
    assert "default" not in ring.destroyed()
    (path,) = (tmp_path / "keys" / "default").iterdir()
    assert path.name == f"{state.id}.key"
    assert path.stat().st_mode & 0o777 == 0o600
    await store.close()
    again = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    await readable(again, contents, DEFAULT_DOMAIN)
    await again.close()
    assert len(list(sealing(tmp_path).states())) == 1


async def test_rotation_wraps_the_keys_anew_and_touches_no_data(tmp_path: Path) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    contents = await fill(store)
    await fill(store, OTHER)
    await store.close()
    before, old, new = files(tmp_path), LocalProvider(KEK), command(tmp_path)
    ring = KeyRing(tmp_path, new, former=[old])
    assert ring.rewrap(OTHER) == 1
    assert ring.rewrap() == 1
    assert ring.rewrap() == 0
    assert {state.provider for state in ring.states()} == {"hsm:test"}
    assert files(tmp_path) == before
    store = open_local(tmp_path, settings=SMALL, keys=KeyRing(tmp_path, new))
    await readable(store, contents, DEFAULT_DOMAIN)
    assert set((tmp_path / "log").read_text().split()) >= {"wrap", "unwrap", "default", "other"}
    await store.close()
    store = open_local(tmp_path, settings=SMALL, keys=KeyRing(tmp_path, old))
    with pytest.raises(StoreError, match="wrapped by hsm:test") as refused:
        await readable(store, contents, DEFAULT_DOMAIN)
    assert refused.value.kind is ErrorKind.INTERNAL
    await store.close()


async def test_rotation_beside_an_open_store(tmp_path: Path) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    contents = await fill(store)
    KeyRing(tmp_path, LocalProvider(bytes(32)), former=[LocalProvider(KEK)]).rewrap()
    contents |= await fill(store)
    await readable(store, contents, DEFAULT_DOMAIN)
    await store.close()


async def test_a_renewed_key_seals_what_comes_and_the_former_still_opens(tmp_path: Path) -> None:
    ring = sealing(tmp_path)
    store = open_local(tmp_path, settings=SMALL, keys=ring)
    contents = await fill(store)
    former = files(tmp_path)
    renewed = sealing(tmp_path).renew(DEFAULT_DOMAIN)  # as another process would
    first, second = ring.states(DEFAULT_DOMAIN)
    assert (first.current, second) == (False, renewed)
    contents |= await fill(store)
    await readable(store, contents, DEFAULT_DOMAIN)
    added = [data for name, data in files(tmp_path).items() if name not in former]
    assert any(bytes.fromhex(renewed.id) in data for data in added)
    await store.close()


async def test_a_destroyed_key_makes_one_domain_unreadable_at_once_and_no_other(tmp_path: Path) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    contents = await fill(store)
    for data in contents.values():
        await store.put(OTHER, data)
    stage = new_stage()
    await store.append(stage, 0, body(b"unfinished"))
    ring = sealing(tmp_path)  # as another process would
    assert ring.destroy(DEFAULT_DOMAIN) == 1
    assert ring.destroy(DEFAULT_DOMAIN) == 0
    for _ in range(2):
        for content in contents:
            for work in (
                store.get(DEFAULT_DOMAIN, content.blake3, 1 << 20),
                anext(store.read(DEFAULT_DOMAIN, content.blake3)),
                store.verify(DEFAULT_DOMAIN, content.blake3),
            ):
                with pytest.raises(StoreError) as refused:
                    await work
                assert refused.value.kind is ErrorKind.ERASED
            assert await store.size(DEFAULT_DOMAIN, content.blake3) == content.size
        for refuses in (
            store.put(DEFAULT_DOMAIN, b"anew"),
            store.put(DEFAULT_DOMAIN, os.urandom(100_000)),
            store.append(new_stage(), 0, body(b"anew")),
            store.append(stage, 10, body(b"more")),
        ):
            with pytest.raises(StoreError) as refused:
                await refuses
            assert refused.value.kind is ErrorKind.ERASED
        await readable(store, contents, OTHER)
        await store.close()
        store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    assert ring.destroyed() == [DEFAULT_DOMAIN]
    assert {state.domain for state in ring.states()} == {OTHER}
    assert [path.name for path in (tmp_path / "keys" / "default").iterdir()] == ["destroyed"]
    with pytest.raises(StoreError) as refused:
        ring.renew(DEFAULT_DOMAIN)
    assert refused.value.kind is ErrorKind.ERASED
    assert [packed async for packed in store.pack(Packing())] != []
    await store.discard(stage)
    for content in contents:
        assert await store.remove(DEFAULT_DOMAIN, content.blake3) > 0
    assert {domain async for domain, _, _ in store.contents()} == {OTHER}
    async for _ in store.rewrite(0.0, 0):
        pass
    assert sum(path.stat().st_size for path in (tmp_path / "packs" / "default").iterdir()) < 2000
    await readable(store, contents, OTHER)
    await store.close()


async def test_destroyed_keys_put_back_from_a_backup_are_deleted(tmp_path: Path) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    contents = await fill(store)
    await store.close()
    shutil.copytree(tmp_path / "keys", tmp_path / "copy")
    ring = sealing(tmp_path)
    ring.destroy(DEFAULT_DOMAIN)
    shutil.copytree(tmp_path / "copy", tmp_path / "keys", dirs_exist_ok=True)
    (tmp_path / "keys" / "default" / f"{bytes(16).hex()}.key").write_bytes(bytes(100))
    assert list(ring.states()) == []
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    with pytest.raises(StoreError) as refused:
        await readable(store, contents, DEFAULT_DOMAIN)
    assert refused.value.kind is ErrorKind.ERASED
    await store.close()
    assert [path.name for path in (tmp_path / "keys" / "default").iterdir()] == ["destroyed"]


def test_a_new_key_is_the_newest_though_the_clock_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = sealing(tmp_path)
    first = ring.renew(DEFAULT_DOMAIN)
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000)
    second = ring.renew(DEFAULT_DOMAIN)
    assert second.id != first.id
    assert [(state.id, state.current) for state in ring.states()] == [(first.id, False), (second.id, True)]


async def test_a_domain_with_keys_stays_sealed_whatever_the_settings_say(tmp_path: Path) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    contents = await fill(store)
    await store.close()
    store = open_local(tmp_path, settings=SMALL)
    for work in (readable(store, contents, DEFAULT_DOMAIN), fill(store)):
        with pytest.raises(StoreError, match="without a key provider") as refused:
            await work
        assert refused.value.kind is ErrorKind.INTERNAL
    data = os.urandom(90_000)
    plain = {await store.put(OTHER, data): data}
    await store.close()
    store = open_local(tmp_path, settings=SMALL, keys=KeyRing(tmp_path, LocalProvider(KEK)))
    await readable(store, contents, DEFAULT_DOMAIN)
    await readable(store, plain, OTHER)
    assert {state.domain for state in sealing(tmp_path).states()} == {DEFAULT_DOMAIN}
    await store.close()


async def test_a_wrong_key_and_a_lost_key_file_are_never_taken_for_corrupt_data(tmp_path: Path) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    contents = await fill(store)
    await store.close()
    (path,) = (tmp_path / "keys" / "default").iterdir()
    written = path.read_text()
    fields = json.loads(written)
    fields["provider"] = LocalProvider(bytes(32)).id
    for text, says in (
        (written[:100], "damaged"),
        (json.dumps(fields), "another key wrapped it"),
        (None, "key file"),
    ):
        if text is None:
            path.rename(tmp_path / "kept")
        else:
            path.write_text(text)
        ring = KeyRing(tmp_path, LocalProvider(bytes(32)), former=[LocalProvider(KEK)])
        store = open_local(tmp_path, settings=SMALL, keys=ring)
        for content in contents:
            with pytest.raises(StoreError, match=says) as refused:
                await store.verify(DEFAULT_DOMAIN, content.blake3)
            assert refused.value.kind is ErrorKind.INTERNAL
        await store.close()
    (tmp_path / "kept").rename(path)
    path.write_text(written)
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    await readable(store, contents, DEFAULT_DOMAIN)
    await store.close()


async def test_a_provider_that_is_away_is_waited_for(tmp_path: Path) -> None:
    provider = command(tmp_path)
    store = open_local(tmp_path, settings=SMALL, keys=KeyRing(tmp_path, provider, sealed=lambda domain: True))
    contents = await fill(store)
    await store.close()
    (tmp_path / "program.py").rename(tmp_path / "away.py")
    store = open_local(tmp_path, settings=SMALL, keys=KeyRing(tmp_path, provider))
    for content in contents:
        with pytest.raises(StoreError) as refused:
            await store.get(DEFAULT_DOMAIN, content.blake3, 1 << 20)
        assert refused.value.kind is ErrorKind.UNAVAILABLE
    (tmp_path / "away.py").rename(tmp_path / "program.py")
    await readable(store, contents, DEFAULT_DOMAIN)
    await store.close()


def test_a_domain_that_is_not_sealed_has_no_keys_to_change(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, LocalProvider(KEK))
    for change in (ring.destroy, ring.renew):
        with pytest.raises(StoreError, match="not sealed") as refused:
            change(OTHER)
        assert refused.value.kind is ErrorKind.CONFLICT
    assert list(tmp_path.iterdir()) == []
