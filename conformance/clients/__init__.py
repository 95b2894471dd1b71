"""Real clients against a registry, over HTTP only: pinned installs, and a walk with each."""
