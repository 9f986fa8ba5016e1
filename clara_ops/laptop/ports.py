"""Ports on loopback: the usual ones where they are free, others where they are taken."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1"


@contextmanager
def reserved_ports(usual: dict[str, int]) -> Iterator[dict[str, int]]:
    """For each name its usual port, or a free one; no two are the same.

    A port stays reserved among the laptops of this machine's user until the block ends: its server binds it only later,
    and another laptop that starts in between would take it for free.
    """
    with ExitStack() as reservations:
        with ExitStack() as bound:
            ports = {name: _reserve(reservations, bound, port) for name, port in usual.items()}
        yield ports


def _reserve(reservations: ExitStack, bound: ExitStack, usual: int) -> int:
    port = _bind(bound, usual)
    while not port or not _lock(reservations, port):
        port = _bind(bound, 0)
    return port


def _bind(bound: ExitStack, port: int) -> int:
    """Bind a port for as long as `bound` is open; 0 when it is taken on any address: some servers bind them all."""
    sock = bound.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("", port))
        sock.listen(1)
    except OSError:
        return 0
    found: int = sock.getsockname()[1]
    return found


def _lock(reservations: ExitStack, port: int) -> bool:
    """Reserve a port; the kernel lets go of it when the process ends, however it ends."""
    folder = Path(tempfile.gettempdir()) / f"clara-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = reservations.enter_context((folder / str(port)).open("ab"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
