"""What this machine offers: its size, its claims and its images."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from clara_ops.localkube.images import ImageMap
from clara_ops.localkube.model import GPU


@dataclass(frozen=True)
class Machine:
    """Fixed for the life of the server.

    Attributes:
        capacity: cores, bytes of memory and GPUs; the GPUs are made up.
        claims: folder of each persistent volume claim, the same in all namespaces.
        isolated: containers get a mount namespace of their own.
        workdir: where a container starts when neither it nor its image says so.
    """

    capacity: Mapping[str, Decimal]
    claims: Mapping[str, Path]
    images: ImageMap
    isolated: bool
    workdir: Path


def capacity_of(cpu: Decimal | None, memory: Decimal | None, gpus: int) -> dict[str, Decimal]:
    """The capacity as configured; what is not given is what the machine has."""
    all_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": Decimal(os.cpu_count() or 1) if cpu is None else cpu,
        "memory": Decimal(all_memory) if memory is None else memory,
        GPU: Decimal(gpus),
    }
