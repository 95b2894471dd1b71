"""`backup`: copies that can be served, and folders it must not take."""

from pathlib import Path

import httpx
import pytest

from tests.server.program import Running, run, serving, until


def push(server: Running, name: str) -> None:
    with server.client() as client:
        put = client.put(f"/api/v1/packages/team/{name}:1/files/{name}.txt", content=name.encode())
        assert put.status_code == 201
        assert client.post(f"/api/v1/packages/team/{name}:1/finalize", json={}).status_code == 201


def backup(data: Path, folder: Path) -> tuple[int, str]:
    done = run("backup", "--data", str(data), str(folder))
    return done.returncode, done.stdout + done.stderr


def repositories(folder: Path) -> list[str]:
    """What a server on a copy of it lists; the copy's folder is `folder`/data."""
    with serving(folder) as server, server.client() as client:
        found = client.get("/v2/_catalog").json()["repositories"]
        assert server.stop() == 0
    return list(found)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """The folder around a data folder with one package."""
    folder = tmp_path / "original"
    folder.mkdir()
    with serving(folder) as server:
        push(server, "one")
        assert server.stop() == 0
    return folder


def test_a_copy_goes_forward_beside_a_running_server_and_can_be_served(
    original: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert backup(original / "data", copy / "data")[0] == 0
    assert repositories(copy) == ["team/one"]
    with serving(original) as server:
        push(server, "two")
        assert backup(original / "data", copy / "data")[0] == 0
        push(server, "three")
        assert server.stop() == 0
    assert repositories(copy) == ["team/one", "team/two"]
    assert run("fsck", "--data", str(copy / "data")).returncode == 0


def test_a_copy_whose_server_was_killed_takes_the_next_backup(original: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert backup(original / "data", copy / "data")[0] == 0
    with serving(copy) as server:
        server.process.kill()
        server.process.wait()
    with serving(original) as server:
        push(server, "two")
        assert server.stop() == 0
    assert backup(original / "data", copy / "data")[0] == 0
    assert run("fsck", "--data", str(copy / "data")).returncode == 0
    assert repositories(copy) == ["team/one", "team/two"]


@pytest.mark.parametrize("place", [".", "data", "data/below"])
def test_the_data_folder_itself_is_refused(original: Path, place: str) -> None:
    before = (original / "data" / "ledger.sqlite").stat().st_ino
    code, said = backup(original / "data", original / place)
    assert (code, "not apart" in said) == (2, True)
    assert (original / "data" / "ledger.sqlite").stat().st_ino == before


def test_another_store_and_a_copy_with_writes_of_its_own_are_refused(original: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert backup(original / "data", copy / "data")[0] == 0
    with serving(copy) as server:
        push(server, "mine")
        assert server.stop() == 0
    code, said = backup(original / "data", copy / "data")
    assert (code, "written to since" in said) == (2, True)
    assert repositories(copy) == ["team/mine", "team/one"]


def test_a_copy_that_is_being_served_is_refused(original: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert backup(original / "data", copy / "data")[0] == 0
    with serving(copy) as server:
        until(lambda: httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200)
        code, said = backup(original / "data", copy / "data")
    assert (code, "in use by a server" in said) == (2, True)


def test_what_is_no_backup_is_left_alone(original: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = backup(original / "data", tmp_path / "file")
    assert (code, "is a file" in said) == (2, True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    code, said = backup(original / "data", tmp_path / "photos")
    assert (code, "cat.jpg" in said) == (2, True)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_place_without_a_store_is_not_made_into_one(tmp_path: Path) -> None:
    for command in ("fsck", "rebuild", "migrate"):
        done = run(command, "--data", str(tmp_path / "typo"))
        assert (done.returncode, "holds no store" in done.stderr) == (2, True)
    assert not (tmp_path / "typo").exists()
