"""NATS JetStream: the home of its library."""

from registry.sinks.jetstream.connection import JetStreamSettings
from registry.sinks.jetstream.sink import JetStreamSink, subject_of

__all__ = ["JetStreamSettings", "JetStreamSink", "subject_of"]
