"""The native artifact API under `/api/v1/`: JSON over HTTP, errors as RFC 9457 problems, OpenAPI 3.1."""

from native_api.face import Face
from native_api.limits import Limits

__all__ = ["Face", "Limits"]
