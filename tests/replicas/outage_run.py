"""One outage under load, from a steady state to a steady state, and what it cost."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time

import httpx

from tests.faults.history import History
from tests.replicas.load import Figures, Load
from tests.replicas.outages import LEASE, Outage, Wired
from tests.server.program import command, environment
from tests.sinks.nats_server import stored

#: Requests answered before an outage begins.
_STEADY = 100


def run_outage(wired: Wired, outage: Outage, seconds: float, seed: int) -> Figures:
    """Begin the outage under load, end it after so many seconds, and hold the answers against the store.

    Nothing is done to heal replicas but what ends the outage. Raises AssertionError.
    """
    it = wired.it
    logged = {replica.name: len(replica.log()) for replica in it.replicas}
    place = f"{re.sub('[^a-z]+', '-', outage.name)}-{seed}"
    load = Load(it.proxy, place, seed, History(LEASE, late=True))
    load.start()
    try:
        load.run_for(_STEADY)
        begun = time.monotonic()
        with outage.block(wired):
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            if outage.left is not None:
                it.proxy.await_up(outage.left, 5)
            for replica in it.replicas:
                if replica.running and not replica.paused:
                    load.figures.memory = max(load.figures.memory, replica.memory)
                    assert httpx.get(f"{replica.url}/healthz", trust_env=False).status_code == 200
            # Figures of the process itself are there whatever fails.
            assert httpx.get(f"{it.replicas[2].url}/metrics", trust_env=False, timeout=40).status_code == 200
        load.await_recovery(time.monotonic())
    finally:
        load.stop()
    assert load.figures.wrong == [], f"{outage.name}: {load.figures.wrong[0]}"
    it.proxy.await_up({replica.name for replica in it.replicas})
    load.verify()
    for replica in it.replicas:
        new = replica.log()[logged[replica.name] :]
        assert "Traceback" not in new, f"{outage.name}: {new[-6000:]}"
    return load.figures


def check(wired: Wired) -> int:
    """In the end every byte is read, and the broker has every event once and in order. How many those are."""
    it = wired.it
    done = subprocess.run(
        command("fsck", "--json"),
        env=environment(**it.replicas[0].settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["faults"] == []
    head = int(it.postgres.execute("SELECT seq FROM ledger_head", "store"))
    until = time.monotonic() + 60
    while int(it.postgres.execute("SELECT cursor FROM followers", "store")) < head:
        assert time.monotonic() < until, "the events do not come to their broker"
        time.sleep(0.2)
    found = asyncio.run(stored(wired.broker.url, "artifact-store"))
    seqs = [json.loads(body)["data"]["seq"] for *_, body in found]
    assert seqs[:head] == list(range(1, head + 1))
    return head
