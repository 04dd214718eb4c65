"""Security headers of every response."""

from __future__ import annotations

from collections.abc import Mapping


def security_headers(origins: tuple[str, ...]) -> Mapping[str, str]:
    """Build the headers: no foreign content, only our own scripts, framing for allowed origins."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(("'self'", *origins)),
        "require-trusted-types-for": "'script'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",  # with "no-referrer" browsers send "Origin: null" along with forms
        "cross-origin-resource-policy": "cross-origin" if origins else "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
