"""Ports on loopback: the usual ones where they are free, others where they are taken."""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def choose_ports(usual: dict[str, int]) -> dict[str, int]:
    """For each name its usual port, or a free one. All are held until the last is chosen, so no two are the same."""
    chosen = {}
    with ExitStack() as held:
        for name, port in usual.items():
            chosen[name] = _hold(held, port) or _hold(held, 0)
    return chosen


def _hold(held: ExitStack, port: int) -> int:
    """Bind a port for as long as `held` is open; 0 when it is taken on any address: some servers bind them all."""
    sock = held.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("", port))
        sock.listen(1)
    except OSError:
        return 0
    found: int = sock.getsockname()[1]
    return found
