"""`python -m conformance.oci_suite`."""

import sys

from .cli import main

sys.exit(main())
