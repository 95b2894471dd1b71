"""Running clients as a person would, in a home of their own, with everything shown when one fails."""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.server import Server

TIME_LIMIT_S = 600.0
SHOWN_CHARACTERS = 4000


@dataclass(frozen=True)
class Result:
    """What a command said."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Its output, line by line."""
        return self.out.splitlines()


class CommandError(AssertionError):
    """A command ended otherwise than it should; the message shows it all."""


@dataclass(frozen=True)
class Shell:
    """A home folder, its environment and the server that commands talk to."""

    home: Path
    server: Server
    environment: Mapping[str, str]

    def run(self, *command: str | Path, cwd: Path | None = None) -> Result:
        """Run a command that must succeed."""
        __tracebackhide__ = True
        done = self._do(command, cwd)
        if done.returncode:
            raise CommandError(self._story(done, "failed"))
        return Result(done.stdout, done.stderr)

    def refused(self, because: str, *command: str | Path) -> str:
        """Run a command that must fail and give this reason; answers its output."""
        __tracebackhide__ = True
        done = self._do(command, None)
        if done.returncode == 0 or because not in done.stdout + done.stderr:
            raise CommandError(self._story(done, f"was to fail, saying '{because}', and ended"))
        return done.stdout

    def _do(self, command: tuple[str | Path, ...], cwd: Path | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd or self.home,
            env=dict(self.environment),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT_S,
        )

    def _story(self, done: subprocess.CompletedProcess[str], what: str) -> str:
        line = shlex.join(str(word) for word in done.args)
        if len(line) > SHOWN_CHARACTERS:
            line = line[:SHOWN_CHARACTERS] + " …"
        return "\n".join(
            [
                f"{what} with {done.returncode}: {line}",
                "--- its output",
                done.stdout[-SHOWN_CHARACTERS:],
                done.stderr[-SHOWN_CHARACTERS:],
                "--- the server's log",
                self.server.log_tail(),
            ]
        )


def open_shell(home: Path, server: Server) -> Shell:
    """A shell whose clients keep configuration, caches and keys in `home`, and know no credentials."""
    docker = home / ".docker"
    docker.mkdir(parents=True)
    (docker / "config.json").write_text("{}")
    regctl = home / ".regctl.json"
    regctl.write_text(json.dumps({"hosts": {server.host: {"tls": "disabled", "hostname": server.host}}}))
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "DOCKER_CONFIG": str(docker),
        "REGCTL_CONFIG": str(regctl),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".data"),
        "XDG_RUNTIME_DIR": str(home),
        "COSIGN_PASSWORD": "",
        "TUF_MIRROR": "http://127.0.0.1:9",  # cosign v2 looks there although nothing it is asked for needs it
        "NO_PROXY": "*",
    }
    return Shell(home, server, environment)
