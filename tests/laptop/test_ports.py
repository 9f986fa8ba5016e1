"""Ports: the usual one where it is free, another where it is taken, and never the same twice."""

import socket

from clara_ops.laptop.ports import reserved_ports


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_the_usual_port_when_it_is_free() -> None:
    port = free_port()
    with reserved_ports({"airflow": port}) as ports:
        assert ports == {"airflow": port}


def test_another_port_when_it_is_taken_on_loopback_or_everywhere() -> None:
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as taken:
            taken.bind((address, 0))
            taken.listen()
            port = int(taken.getsockname()[1])
            with reserved_ports({"airflow": port}) as ports:
                assert ports["airflow"] not in (0, port)


def test_no_two_are_the_same() -> None:
    port = free_port()
    with reserved_ports({f"server-{index}": port for index in range(20)}) as ports:
        assert len(set(ports.values())) == 20


def test_what_another_laptop_has_chosen_is_not_free_although_nobody_listens_yet() -> None:
    port = free_port()
    with reserved_ports({"triton": port}) as first, reserved_ports({"triton": port}) as second:
        assert first["triton"] == port != second["triton"]
    with reserved_ports({"triton": port}) as third:
        assert third["triton"] == port
