"""The listener's certificate and key: read, and refused in words a person can act on."""

from __future__ import annotations

import ssl
from pathlib import Path

from registry.server.settings import Settings


class CertificateError(Exception):
    """A certificate or key that cannot be used; the message names the file."""


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The listener's TLS, None without a certificate. Raises CertificateError."""
    certificate, key = settings.server.tls_cert, settings.server.tls_key
    if certificate is None or key is None:
        return None
    for path in (certificate, key):
        _check_readable(path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # The password: without this OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(
                f"the key in {key} is not that of the certificate in {certificate}"
            ) from None
        raise CertificateError(
            f"{certificate} and {key} do not work together: the first has to hold the certificate and its "
            f"chain, the second its key without a passphrase, both as PEM ({error.reason or error})"
        ) from None
    return context


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise CertificateError(f"cannot read {path}: {error.strerror}") from None
