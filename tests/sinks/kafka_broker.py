"""A Kafka broker of our own, one process that is also its controller: started, killed, started again."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from conformance.clients.tools import need_jars
from tests.sinks.nats_server import free_port

_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
_JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PASSWORD = "hunter2"


class KafkaBroker:
    """One broker in `folder` with two listeners: open, and with TLS (its key in `pem`) and a password."""

    def __init__(self, folder: Path, pem: Path) -> None:
        self._jars = need_jars("kafka")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.guarded_port, controller = free_port(), free_port(), free_port()
        self.ca = pem
        self._settings = folder / "broker.properties"
        key, certificate = _split(pem)
        self._settings.write_text(
            f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{self.port},SASL_SSL://127.0.0.1:{self.guarded_port},\
CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
log.dirs={folder / "data"}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_store="{_PASSWORD}";
ssl.keystore.type=PEM
ssl.keystore.key={key}
ssl.keystore.certificate.chain={certificate}
""".lstrip()
        )
        self._run("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._settings)).wait()

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def guarded_url(self) -> str:
        """With a user, through TLS. Complete but for the topic and the `ca`."""
        return f"kafka+tls://store:{_PASSWORD}@127.0.0.1:{self.guarded_port}"

    def start(self) -> None:
        """Run it until it serves."""
        self._process = self._run("kafka.Kafka", str(self._settings))
        until = time.monotonic() + 90
        while not self._serves():
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < until, self._log()
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def make(self, topic: str, partitions: int, **config: str) -> None:
        """A topic of the tests' own."""
        settings = {name.replace("_", "."): value for name, value in config.items()}
        new = NewTopic(topic, partitions, 1, config=settings)
        admin = self._admin()  # which must live until it has the answer
        admin.create_topics([new])[topic].result(20)

    def partitions(self, topic: str) -> int:
        return len(self._admin().list_topics(topic, timeout=20).topics[topic].partitions)

    def stored(self, topic: str) -> list[Message]:
        """All that is committed, a partition after the other."""
        consumer = Consumer(
            {
                "bootstrap.servers": f"127.0.0.1:{self.port}",
                "group.id": "tests",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        places = [TopicPartition(topic, number, 0) for number in range(self.partitions(topic))]
        found: list[Message] = []
        try:
            consumer.assign(places)
            left = set(range(len(places)))
            while left:
                message = consumer.poll(20)
                assert message is not None, "the broker sends nothing"
                number = message.partition()
                assert number is not None
                if message.error() is not None:
                    left.discard(number)
                else:
                    found.append(message)
        finally:
            consumer.close()
        return sorted(found, key=lambda message: (message.partition() or 0, message.offset() or 0))

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 0})

    def _serves(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.guarded_port), 1).close()
        except OSError:
            return False
        return "Kafka Server started" in self._log()

    def _log(self) -> str:
        return (self._folder / "broker.log").read_text()

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        command: Sequence[str] = ("java", *_JAVA, "-cp", f"{self._jars}/*", *arguments)
        with (self._folder / "broker.log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder
            )


def _split(pem: Path) -> tuple[str, str]:
    """Key and certificate on one line each, as a properties file wants them."""
    blocks = pem.read_text().split("-----BEGIN ")
    lines = ["-----BEGIN " + block.strip().replace("\n", "\\n") for block in blocks if block.strip()]
    (key,) = (line for line in lines if "PRIVATE KEY" in line)
    (certificate,) = (line for line in lines if "CERTIFICATE" in line)
    return key, certificate
