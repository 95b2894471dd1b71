"""What can happen to replicas and to what they stand on, each as a block that lasts as long as the outage."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.dataplane import S3Settings
from tests.faults.cable import Cable
from tests.faults.loop import LoopThread
from tests.objectstore.proxy import Answer, Asked, Cut, Fault, FaultyProxy, Slow
from tests.ports import free_ports
from tests.replicas.cluster import Cluster, cluster
from tests.replicas.postgres import Postgres
from tests.sinks.nats_server import NatsServer

ALL = {"r0", "r1", "r2"}
#: Seconds that a blob surely stays which no manifest names.
LEASE = 120.0


class Wires:
    """A cable from each replica to the database, and one from all to the bucket, with a spoiler beside it."""

    def __init__(self, postgres: Postgres, bucket: S3Settings) -> None:
        self._bucket = bucket
        self._postgres = postgres
        self._port = int(str(bucket.endpoint).rpartition(":")[2])
        self._thread = LoopThread()
        self.spoiler = FaultyProxy(self._port)
        self._spoiled = self._thread.run(self.spoiler.start())
        self.storage = Cable(self._port)
        self.database: list[Cable] = []

    def to_bucket(self) -> dict[str, str]:
        """The settings of all replicas."""
        place, endpoint = self._bucket, f"http://127.0.0.1:{self.storage.port}"
        return {"ARTIFACT_STORE_STORAGE_URL": f"s3://{place.bucket}/{place.prefix}?endpoint={endpoint}"}

    def to_database(self) -> dict[str, str]:
        """The settings of one more replica."""
        self.database.append(Cable(self._postgres.port))
        url = self._postgres.url().replace(f":{self._postgres.port}/", f":{self.database[-1].port}/")
        return {"ARTIFACT_STORE_DATABASE_URL": url}

    @contextmanager
    def spoiling(self, plan: Callable[[Asked], Fault | None]) -> Iterator[None]:
        """Requests to the bucket meet `plan`."""
        self.spoiler.plan = plan
        self.storage.lead_to(self._spoiled)
        yield
        self.spoiler.heal()
        self.storage.lead_to(self._port)

    def close(self) -> None:
        for cable in (*self.database, self.storage):
            cable.close()
        self._thread.run(self.spoiler.close())
        self._thread.close()


@dataclass(frozen=True)
class Wired:
    """A cluster whose cables can be cut."""

    it: Cluster
    wires: Wires
    broker: NatsServer


@contextmanager
def wired_cluster(folder: Path) -> Iterator[Wired]:
    """Three replicas that reach everything by cables, and collect all the time. Skips as `cluster` does."""
    (folder / "nats").mkdir(parents=True)
    broker = NatsServer(folder / "nats")
    settings = {
        "ARTIFACT_STORE_EVENTS_URL": broker.url,
        "ARTIFACT_STORE_CARE_LEASE": f"{LEASE:g}s",
        "ARTIFACT_STORE_CARE_COLLECT": "1s",
        "ARTIFACT_STORE_CARE_DELAY": "1s",
    }
    laid: list[Wires] = []
    with ExitStack() as stack:
        stack.callback(broker.kill)
        broker.start()

        def lay(postgres: Postgres, bucket: S3Settings) -> dict[str, str]:
            laid.append(Wires(postgres, bucket))
            stack.callback(laid[0].close)
            return laid[0].to_bucket()

        it = stack.enter_context(
            cluster(folder, settings=settings, wired=lay, of_replica=lambda _: laid[0].to_database())
        )
        yield Wired(it, laid[0], broker)


Block = Callable[[Wired], AbstractContextManager[None]]


@dataclass(frozen=True)
class Outage:
    """`left` are the replicas that the proxy uses after some seconds of it; None where that may be either.

    No request fails by a `harmless` one. `seconds` is how long it lasts at length; those that are not `brief`
    happen only then.
    """

    name: str
    block: Block
    left: set[str] | None = None
    harmless: bool = False
    seconds: float = 30.0
    brief: bool = False


@contextmanager
def _killed_replica(wired: Wired) -> Iterator[None]:
    replica = wired.it.replicas[1]
    replica.kill()
    yield
    replica.start()


@contextmanager
def _paused_replicas(wired: Wired) -> Iterator[None]:
    """Two of three, so that most background work is theirs. Time is not waited for: their leases on it end at
    once, as if minutes had passed."""
    asleep = wired.it.replicas[:2]
    for replica in asleep:
        replica.pause()
    wired.it.postgres.execute("UPDATE work_leases SET expires_at = 0", "store")
    yield
    for replica in asleep:
        replica.resume()


@contextmanager
def _rolling_restart(wired: Wired) -> Iterator[None]:
    for replica in wired.it.replicas:
        replica.restart()
        wired.it.proxy.await_up(ALL)
    yield


@contextmanager
def _restarted_database(wired: Wired) -> Iterator[None]:
    wired.it.postgres.stop()
    yield
    wired.it.postgres.start()


@contextmanager
def _crashed_database(wired: Wired) -> Iterator[None]:
    wired.it.postgres.kill()
    yield
    wired.it.postgres.start()


@contextmanager
def _silent_database(wired: Wired) -> Iterator[None]:
    wired.it.postgres.pause()
    yield
    wired.it.postgres.resume()


@contextmanager
def _moved_database(wired: Wired) -> Iterator[None]:
    """As after a failover: the same address leads to another server."""
    postgres = wired.it.postgres
    postgres.stop()
    yield
    (postgres.port,) = free_ports(1)
    postgres.start()
    for cable in wired.wires.database:
        cable.lead_to(postgres.port)


@contextmanager
def _cut_to_database(wired: Wired) -> Iterator[None]:
    wired.wires.database[0].cut()
    yield
    wired.wires.database[0].mend()


@contextmanager
def _cut_to_storage(wired: Wired) -> Iterator[None]:
    wired.wires.storage.cut()
    yield
    wired.wires.storage.mend()


@contextmanager
def _killed_storage(wired: Wired) -> Iterator[None]:
    wired.it.seaweed.kill()
    yield
    wired.it.seaweed.start()


@contextmanager
def _silent_storage(wired: Wired) -> Iterator[None]:
    wired.it.seaweed.signal(signal.SIGSTOP)
    yield
    wired.it.seaweed.signal(signal.SIGCONT)


@contextmanager
def _killed_broker(wired: Wired) -> Iterator[None]:
    wired.broker.kill()
    yield
    wired.broker.start()


def _spoiled_storage(plan: Callable[[Asked], Fault | None]) -> Block:
    return lambda wired: wired.wires.spoiling(plan)


def _fails(_asked: Asked) -> Fault:
    return random.choice((Answer(500, "InternalError"), Answer(503, "SlowDown")))


def _fails_often(asked: Asked) -> Fault | None:
    return _fails(asked) if random.random() < 0.5 else None


def _is_slow(_asked: Asked) -> Fault:
    return Slow(random.uniform(0.3, 1.0))


def _breaks_off(asked: Asked) -> Fault | None:
    return Cut(random.choice((0, 1, 500))) if asked.method == "GET" and random.random() < 0.5 else None


OUTAGES = (
    Outage("a replica is killed", _killed_replica, ALL - {"r1"}, brief=True),
    Outage("two replicas are paused, lose their leases, and wake", _paused_replicas, {"r2"}, brief=True),
    Outage("all replicas are restarted in turn", _rolling_restart, ALL, harmless=True, brief=True),
    Outage("the database is restarted", _restarted_database, set(), brief=True),
    Outage("the database crashes", _crashed_database, set()),
    Outage("the database falls silent", _silent_database),
    Outage("the database moves to another server", _moved_database, set()),
    Outage("the network between a replica and the database is cut", _cut_to_database, brief=True),
    Outage("the network to the object store is cut", _cut_to_storage),
    Outage("the object store is killed", _killed_storage, brief=True),
    Outage("the object store falls silent", _silent_storage),
    Outage("the object store answers 500 and SlowDown to all", _spoiled_storage(_fails), brief=True),
    Outage(
        "the object store answers 500 and SlowDown to every second request", _spoiled_storage(_fails_often)
    ),
    Outage("the object store is slow", _spoiled_storage(_is_slow)),
    Outage("the object store breaks off its answers", _spoiled_storage(_breaks_off)),
    Outage("the broker of events is away", _killed_broker, ALL, harmless=True, seconds=60.0, brief=True),
)
