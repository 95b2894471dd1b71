"""Where this user's machine keeps what the client commands read and remember, and which proxy it uses.

These are other programs' conventions (docker's, XDG's, curl's), no settings of ours: those are in
`registry.server.settings`.
"""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path


def docker_config() -> Path:
    """The folder of docker's config.json: $DOCKER_CONFIG, or ~/.docker."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def upload_journal() -> Path:
    """Where unfinished uploads are remembered: $XDG_STATE_HOME (XDG Base Directory), or ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "artifact-store" / "uploads"


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy of $HTTP_PROXY, $HTTPS_PROXY and $NO_PROXY for one request; None for none."""
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(scheme)
