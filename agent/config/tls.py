"""What the settings of a TLS line mean, for every library that speaks it."""

from __future__ import annotations

import ssl

from agent.config.settings import TlsSettings


def apply_tls(settings: TlsSettings, context: ssl.SSLContext) -> None:
    """Trust as the settings say, and show the client's certificate where there is one.

    Raises `OSError` or `ssl.SSLError` when certificate and key cannot be read or do not belong together.
    """
    # Python 3.13 asks for extensions that a CA made with plain `openssl req -x509` has not. Chain, name
    # and dates are verified all the same.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
