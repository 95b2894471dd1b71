"""The command, run on real stores: a data folder, and PostgreSQL with a bucket."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.dataplane import S3Settings
from tests.faults.history import Client, History
from tests.objectstore.seaweed import ACCESS_KEY, SECRET_KEY
from tests.server.program import Running, command, environment


def settings_file(path: Path, database: str, bucket: S3Settings) -> Path:
    """Of a store in PostgreSQL and a bucket."""
    path.write_text(
        f"""
[database]
url = "{database}"
[storage]
url = "s3://{bucket.bucket}/{bucket.prefix}?endpoint={bucket.endpoint}"
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
"""
    )
    return path


def start(source: Path, target: Path, *options: str) -> subprocess.Popen[str]:
    """The command, under way."""
    return subprocess.Popen(
        command("migrate-store", str(source), str(target), "--json", *options),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def move(source: Path, target: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """Run it to its end; what it says."""
    process = start(source, target, *options)
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == code, said + complaints
    answer: dict[str, Any] = json.loads(said)
    return answer


class Unhurried(threading.Event):
    """An event whose looks at it are apart, for who looks before each thing it does."""

    def is_set(self) -> bool:
        return self.wait(0.1)


@contextmanager
def pushing(server: Running, history: History, seed: str, clients: int = 2) -> Iterator[None]:
    """Clients push and delete all the while, until they are told to stop or that the store has moved."""
    stop, failures = Unhurried(), list[str]()
    chance = random.Random(seed)

    def work(client: Client) -> None:
        try:
            client.work()
        except Exception as failure:
            if "has moved to" not in str(failure):
                failures.append(traceback.format_exc())

    threads = [
        threading.Thread(
            target=work,
            args=(Client(server, history, random.Random(chance.random()), f"{seed}/{number}", stop),),
        )
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == [], failures[0]
