"""Where events go: NATS JetStream, webhooks, and what plugins add. Each library that is spoken through has
one file here; none of them knows the ledger, the control plane or one another."""
