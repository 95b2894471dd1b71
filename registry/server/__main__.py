"""`python -m registry.server` is `artifact-store`."""

import sys

from registry.server.cli import main

if __name__ == "__main__":
    sys.exit(main())
