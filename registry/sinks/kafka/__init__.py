"""Kafka: the home of its library, and a plugin for `kafka://` and `kafka+tls://` as others could be."""

from registry.sinks.kafka.settings import KafkaSettings
from registry.sinks.kafka.sink import KafkaSink

__all__ = ["KafkaSettings", "KafkaSink", "open_sink"]


def open_sink(url: str) -> KafkaSink:
    """The sink for a URL, as the entry point group `artifact_store.sinks` wants it.

    Raises StoreError BAD_REQUEST with a sentence for a URL that says too little or something unknown.
    """
    return KafkaSink(KafkaSettings.of(url))
