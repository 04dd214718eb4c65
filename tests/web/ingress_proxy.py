"""A reverse proxy that shows the page below a path, as Home Assistant's ingress and nginx do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

END = b"\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close" + END


@contextmanager
def reverse_proxy(url: str, prefix: str, **headers: str) -> Iterator[str]:
    """The page of `url` below `prefix` (with its slash at the end); the address of the proxy.

    What lies elsewhere is 404, so that a link that is not relative is noticed. `headers` are added to what
    is asked, with _ for -. One request a connection, streams too.
    """
    address = urlsplit(url)
    added = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        host = f"127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    opened.callback(client.close)
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        def serve(client: socket.socket) -> None:
            with client, suppress(OSError):
                head = b""
                while END not in head:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    head += piece
                head, _, body = head.partition(END)
                lines = head.decode("latin-1").split("\r\n")
                method, path, version = lines[0].split(" ")
                if not path.startswith(prefix):
                    client.sendall(
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                    return
                stream = any(line.lower() == "upgrade: websocket" for line in lines)
                kept = [
                    line
                    for line in lines[1:]
                    if not line.lower().startswith(("host:", *(() if stream else ("connection:",))))
                ]
                kept += [f"X-Forwarded-Host: {host}", "X-Forwarded-For: 192.0.2.7", f"Host: {address.netloc}"]
                kept += [] if stream else ["Connection: close"]
                asked = "\r\n".join([f"{method} /{path.removeprefix(prefix)} {version}", *kept, added])
                with socket.create_connection((address.hostname, address.port)) as server:
                    server.sendall(asked.encode("latin-1") + b"\r\n" + body)
                    back = threading.Thread(target=carry, args=(server, client), daemon=True)
                    back.start()
                    carry(client, server)
                    back.join()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://{host}{prefix}"


def carry(source: socket.socket, target: socket.socket) -> None:
    """All bytes of one direction, then its end."""
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
