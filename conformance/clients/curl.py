"""curl, the client everybody has: its arguments as a person types them, its answer as a test reads it."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.clients.shell import CommandError, Shell
from conformance.clients.tools import need

JSON = ("-H", "Content-Type: application/json")


@dataclass(frozen=True)
class Answer:
    """An HTTP response. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Curl:
    """`curl("-X", "DELETE", url, status=202)`: run it and insist on the status."""

    program: Path
    shell: Shell

    def __call__(self, *arguments: str | Path, status: int = 200) -> Answer:
        __tracebackhide__ = True
        with tempfile.TemporaryDirectory(dir=self.shell.home) as folder:
            headers, body = Path(folder, "headers"), Path(folder, "body")
            # Expect is taken out so that a refusal does not leave the connection with half a body.
            quiet = ("-sS", "-H", "Expect:", "-D", headers, "-o", body, "-w", "%{http_code}")
            done = self.shell.run(self.program, *quiet, *arguments)
            answer = Answer(
                int(done.out), _fields(headers.read_text()), body.read_bytes() if body.exists() else b""
            )
        if answer.status != status:
            shown = answer.body[:4000].decode(errors="replace")
            story = f"{answer.status}, not {status}: curl {' '.join(map(str, arguments))}\n{shown}\n"
            raise CommandError(f"{story}--- the server's log\n{self.shell.server.log_tail()}")
        return answer

    def follow(self, *arguments: str, seconds: float) -> str:
        """What an endless answer says within so many seconds."""
        limited = ("-sS", "-N", "--max-time", str(seconds))
        return self.shell.refused("timed out", self.program, *limited, *arguments)


def _fields(head: str) -> dict[str, str]:
    """The fields of the last header block: those before it belong to 1xx answers."""
    lines = head.strip().split("\r\n\r\n")[-1].splitlines()[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def open_curl(shell: Shell) -> Curl:
    """curl from PATH; without it the test is skipped or fails."""
    return Curl(need("curl"), shell)
