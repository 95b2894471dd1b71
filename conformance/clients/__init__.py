"""Real clients against a registry, over HTTP only: installing them at pinned versions, and a walk with each."""
