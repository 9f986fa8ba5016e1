"""Keeps peers from holding connections: those that never ask for an association, and those that stop in mid-PDU."""

import socket
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_LOOK_EVERY = 1.0


@dataclass
class _Watched:
    connection: socket.socket
    deadline: float


class ConnectionWatch:
    """Connections, each with the time until which its peer must have done something."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: dict[Hashable, _Watched] = {}

    def expect(self, name: Hashable, connection: socket.socket, seconds: float) -> None:
        """From now on the peer has `seconds` to make progress."""
        with self._lock:
            self._watched[name] = _Watched(connection, self._clock() + seconds)

    def progress(self, name: Hashable, seconds: float) -> None:
        """The peer did something: it has `seconds` again."""
        with self._lock:
            watched = self._watched.get(name)
            if watched is not None:
                watched.deadline = self._clock() + seconds

    def forget(self, name: Hashable) -> None:
        """The connection is closed, or looks after itself."""
        with self._lock:
            self._watched.pop(name, None)

    def count(self) -> int:
        """How many connections are watched."""
        with self._lock:
            return len(self._watched)

    def step(self) -> float:
        """Shut down what is overdue: whoever reads it then sees its end. Answers the seconds until the next look."""
        now = self._clock()
        with self._lock:
            overdue = [name for name, watched in self._watched.items() if watched.deadline <= now]
            connections = [self._watched.pop(name).connection for name in overdue]
        for connection in connections:
            end_connection(connection)
        return _LOOK_EVERY


def end_connection(connection: socket.socket) -> None:
    """Shut a connection down in both directions; one that is closed already stays so."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
