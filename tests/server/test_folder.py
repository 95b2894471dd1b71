"""The data folder's lock, between processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.server.folder import FolderBusyError, create_folder, database_of, lock_exclusive, lock_shared
from registry.server.settings import load

HOLD = """
import sys
from pathlib import Path
from registry.server import folder
lock = getattr(folder, sys.argv[1])(Path(sys.argv[2]), *sys.argv[3:])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_servers_share_the_folder(tmp_path: Path) -> None:
    with held_elsewhere("lock_shared", str(tmp_path)), lock_shared(tmp_path):
        pass


def test_an_offline_command_waits_for_no_server(tmp_path: Path) -> None:
    with (
        held_elsewhere("lock_shared", str(tmp_path)),
        pytest.raises(FolderBusyError, match=r"in use by a server.*rebuild needs"),
    ):
        lock_exclusive(tmp_path, "rebuild")


def test_a_server_is_told_which_command_works_on_the_folder(tmp_path: Path) -> None:
    with held_elsewhere("lock_exclusive", str(tmp_path), "rebuild") as other:
        with pytest.raises(FolderBusyError, match=rf"artifact-store rebuild \(process {other.pid}\)"):
            lock_shared(tmp_path)


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    with held_elsewhere("lock_exclusive", str(tmp_path), "rebuild") as other:
        other.kill()
        other.wait()
        lock_shared(tmp_path).close()


def test_closing_lets_the_next_one_in_and_may_happen_twice(tmp_path: Path) -> None:
    first = lock_exclusive(tmp_path, "rebuild")
    first.close()
    first.close()
    lock_exclusive(tmp_path, "fsck").close()


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    create_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_the_database_is_in_the_folder_unless_a_server_has_it(tmp_path: Path) -> None:
    assert database_of(load({"data": str(tmp_path)}, {}).settings) == tmp_path / "ledger.sqlite"
    for scheme in ("postgresql", "postgres", "postgresql+asyncpg"):
        url = f"{scheme}://host/name?ssl=require"
        assert database_of(load({"database_url": url}, {}).settings) == url
