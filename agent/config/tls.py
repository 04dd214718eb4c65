"""TLS contexts from settings, for every library that uses one."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from agent.config.settings import TlsSettings
from agent.errors import ConfigError


def secure_context(
    settings: TlsSettings,
    table: str,
    create: Callable[..., ssl.SSLContext] = ssl.create_default_context,
) -> ssl.SSLContext:
    """Create a TLS context; it verifies certificate and host name unless `verify` is off.

    Adds the client certificate where one is set. `table` names the settings in messages, `create` is the
    factory of another library. Raises `ConfigError`.
    """
    try:
        context = create(cafile=str(settings.ca) if settings.ca else None)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"{table}.ca {settings.ca}: expected a PEM file with certificates ({exc})") from exc
    # Python 3.13 requires extensions that a CA made with plain `openssl req -x509` lacks. Chain, name and
    # dates are verified in any case.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None:
        try:
            context.load_cert_chain(settings.certificate, settings.key)
        except (OSError, ssl.SSLError) as exc:
            raise ConfigError(
                f"{table}.certificate {settings.certificate} with {table}.key {settings.key}: "
                f"expected PEM files that belong together ({exc})"
            ) from exc
    return context
