"""The OCI distribution API (`/v2/`): the server's face, and a client of it."""

from oci.call import Limits
from oci.face import Face

__all__ = ["Face", "Limits"]
