"""artifact-store: a content-addressed artifact registry, usable as a library and as a server."""
