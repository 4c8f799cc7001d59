"""TLS of the DICOM door: 1.3 preferred, 1.2 with forward secrecy and AEAD, nothing below (PS3.15 B.12)."""

from __future__ import annotations

import ssl

from groundglass.config import Gateway
from groundglass.errors import UsageError

_CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(settings: Gateway) -> ssl.SSLContext | None:
    """Return the context of the settings, None without a certificate. With a CA, peers must show a certificate of it.

    Raises UsageError if a file is missing or wrong.
    """
    if settings.tls_certificate is None:
        if settings.tls_ca is not None or settings.tls_key is not None:
            raise UsageError("gateway.tls_certificate is missing: gateway.tls_key and gateway.tls_ca need it")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_ca is not None:
            context.load_verify_locations(settings.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError:
        raise UsageError("gateway.tls_certificate, tls_key or tls_ca cannot be read, or do not fit together") from None
    return context
