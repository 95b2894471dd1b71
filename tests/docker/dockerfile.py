"""A Dockerfile as a list of instructions, and its replay in a plain folder.

The replay knows the few instructions our file uses and refuses all others, so that a change to the file is a
change to what is tested. Absolute paths of the image are moved under the folder.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

#: Folders that our Dockerfile makes; the rest of the image is the base's.
OWN = ("app", "data", "source")


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str


@dataclass
class Stage:
    """One `FROM`: its instructions and, after the replay, what its image says about running it."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def parse(text: str) -> list[Stage]:
    """The stages, with build arguments put in."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "ARG" and not stages:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            for argument, value in arguments.items():
                base = base.replace(f"${{{argument}}}", value)
            stages.append(Stage(name or str(len(stages)), base))
        else:
            stages[-1].instructions.append(Instruction(word, rest.strip()))
    return stages


@dataclass
class Replay:
    """Each stage gets a folder under `root` for what is absolute in the file; `context` is the checkout."""

    root: Path
    context: Path

    def run(self, stages: list[Stage]) -> Stage:
        """Carry out all stages and return the last."""
        for stage in stages:
            for instruction in stage.instructions:
                getattr(self, f"_{instruction.word.lower()}")(stage, instruction.rest)
        return stages[-1]

    def place(self, stage: Stage, path: str) -> Path:
        """Where a path of the stage's image is here. Stages share the folder: what one makes, others copy."""
        absolute = path if path.startswith("/") else f"{stage.workdir}/{path}"
        return self.root / absolute.lstrip("/")

    def moved(self, text: str) -> str:
        """`text` with the image's own absolute paths under the folder."""
        return re.sub(rf"(?<![\w.}}-])/({'|'.join(OWN)})(?=[/\s:\"']|$)", rf"{self.root}/\1", text)

    def shell_environment(self, stage: Stage) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.root), **stage.environment}

    def _workdir(self, stage: Stage, rest: str) -> None:
        stage.workdir = rest
        self.place(stage, rest).mkdir(parents=True, exist_ok=True)

    def _copy(self, stage: Stage, rest: str) -> None:
        words = rest.split()
        flags = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        if any(flag.startswith("--from=") for flag in flags):
            # Stages share a folder, and our file copies to the same path.
            assert sources == [target], f"a COPY --from to another path: {rest}"
            assert self.place(stage, target).exists(), f"{target} was not made by the stage it is copied from"
            return
        for source in sources:
            origin = self.context / source
            place = self.place(stage, target)
            if origin.is_dir():
                shutil.copytree(
                    origin, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(origin, place / origin.name if target.endswith("/") else place)

    def _run(self, stage: Stage, rest: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.moved(rest)],
            cwd=self.place(stage, stage.workdir),
            env=self.shell_environment(stage),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout}\n{done.stderr}"

    def _env(self, stage: Stage, rest: str) -> None:
        for name, value in re.findall(r"(\w+)=(\S+)", rest):
            stage.environment[name] = self.moved(value).replace("$PATH", os.environ["PATH"])

    def _user(self, stage: Stage, rest: str) -> None:
        stage.user = rest

    def _entrypoint(self, stage: Stage, rest: str) -> None:
        stage.entrypoint = json.loads(rest)

    def _cmd(self, stage: Stage, rest: str) -> None:
        stage.command = json.loads(rest)

    def _healthcheck(self, stage: Stage, rest: str) -> None:
        stage.health = json.loads(rest[rest.index("CMD ") + 4 :])

    def _volume(self, stage: Stage, rest: str) -> None:
        for path in json.loads(rest):
            assert self.place(stage, path).is_dir()

    def _expose(self, stage: Stage, rest: str) -> None:
        assert rest.isdigit()

    def _stopsignal(self, stage: Stage, rest: str) -> None:
        assert rest == "SIGTERM"
