"""Error texts for a broker that cannot be reached or refuses, each with what to do."""

from __future__ import annotations

import socket
import ssl

from agent.delivery.mqtt.address import Address

UNSUPPORTED_VERSION, BAD_LOGIN, TAKEN_OVER = 132, (134, 135), 142  # MQTT 5.0, 2.4
TOO_LARGE_CODE, NO_RETAIN_CODE, NO_QOS_CODE = 149, 154, 155

NO_RETAIN = (
    "it takes no retained messages: states are published when they change, and later subscribers do not "
    "see them; allow retained messages on the broker (mosquitto: retain_available true)"
)
NO_QOS = "it takes QoS 0 only: what it was sent counts as delivered; allow QoS 1 (mosquitto: max_qos 1)"
MAYBE_NO_RETAIN = "a broker that takes no retained messages does that too; it is tried without them as well"


OWN_ID = "give each agent its own agent.id"


def id_taken(agent: str, host: str) -> str:
    """Text for an agent id that another agent has held for longer."""
    return (
        f'the agent.id "{agent}" is in use on this broker, by the agent on host "{host}"; '
        "give this one its own agent.id (nothing is published until then)"
    )


def unreachable(broker: Address, exc: OSError) -> str:
    """Text for a failed TCP connection or TLS handshake."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {broker} is not trusted: {exc.verify_message}; "
            "set mqtt.tls.ca to the CA that signed it"
        )
    if isinstance(exc, ssl.SSLError):
        return f"TLS with {broker} failed: {exc.reason or exc}"
    if isinstance(exc, socket.gaierror):
        return f'the host name "{broker.host}" cannot be resolved: {exc.strerror}'
    if isinstance(exc, TimeoutError):
        return f"{broker} does not answer"
    if isinstance(exc, ConnectionRefusedError):
        return f"nothing listens at {broker}"
    return f"{broker}: {exc.strerror or exc}"


def refused(broker: Address, code: int, name: str, version: str, user: str | None) -> str:
    """Text for a CONNACK that refuses the connection."""
    if code not in BAD_LOGIN:
        return f"{broker} refused MQTT {version}: {name}"
    if user is None:
        return f"{broker} wants a user and password ({name}); set mqtt.user and mqtt.password"
    return (
        f'{broker} refused user "{user}" and its password ({name}); '
        "check mqtt.user and the file of mqtt.password"
    )


def ended_by_broker(code: int, name: str) -> str:
    """Text for a DISCONNECT sent by the broker."""
    if code == TAKEN_OVER:
        return "another client with this agent's id has connected; give it its own agent.id"
    return f"the broker ended the connection: {name}"


def closed_without_reason(broker: Address, version: str, *, connected: bool, online: bool) -> str:
    """Text for a connection that the broker closed without a reason."""
    if online:
        return f"{broker} closed the connection"
    if connected:
        return f"{broker} closed the connection right after accepting it"
    return f"{broker} closed the connection without an answer to MQTT {version}"


def disconnected_repeatedly(reason: str, times: int, client_id: str) -> str:
    """Text for repeated disconnects, which suggest another client with the same client id."""
    return (
        f'{reason}, {times} times in a row; does another client use the id "{client_id}"? '
        "give each agent its own agent.id"
    )


def broke_while_sending(reason: str, size: int, for_s: float) -> str:
    """Text for a connection that broke while a large packet was being sent."""
    return (
        f"{reason} while a packet of {size} bytes was on its way; "
        f"as large ones are left out now, and tried again at a reconnection after {for_s / 60:g} min; "
        "raise the broker's maximum packet size"
    )
