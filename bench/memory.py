"""The most memory that groups of processes had: proportional set sizes, so that what is shared counts once."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PERIOD_SECONDS = 2.0
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_KNOWN = {
    "airflow scheduler": "Airflow's scheduler",
    "airflow worker": "Airflow's workers and their tasks",
    "api-server": "Airflow's API server",
    "api_server": "Airflow's API server",
    "dag-processor": "Airflow's DAG processor",
    "airflow triggerer": "Airflow's triggerer",
    "localkube": "the pod API and its pods",
    "dicom-listener": "the DICOM listener",
    "triton": "Triton",
    "Orthanc": "the PACS",
}


@dataclass
class Peak:
    """Bytes by group, each at its own greatest, and of all together at one moment."""

    groups: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def add(self, sample: dict[str, int]) -> None:
        """Take a sample into account."""
        for group, size in sample.items():
            self.groups[group] = max(self.groups.get(group, 0), size)
        self.total = max(self.total, sum(sample.values()))

    def table(self) -> str:
        """As Markdown."""
        lines = ["| greatest memory (PSS) | MB |", "|---|---:|"]
        lines += [f"| {group} | {size / 1e6:.0f} |" for group, size in sorted(self.groups.items())]
        return "\n".join([*lines, f"| all together | {self.total / 1e6:.0f} |"])


@contextmanager
def measuring_memory() -> Iterator[Peak]:
    """Look at the processes below this one every two seconds, until the block ends."""
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while not ended.wait(_PERIOD_SECONDS):
            peak.add(_sample())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _sample() -> dict[str, int]:
    sizes: dict[str, int] = {}
    for pid, group in _groups().items():
        with suppress(FileNotFoundError, ProcessLookupError):
            found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
            sizes[group] = sizes.get(group, 0) + (int(found[1]) * 1024 if found else 0)
    return sizes


def _groups() -> dict[int, str]:
    """Every process below this one, by what it belongs to: what its command line says, else what its parent is."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                pid = int(entry.name)
                parents[pid] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[pid] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    groups: dict[int, str] = {}
    for pid in parents:
        line = _line_of(pid, parents)
        if os.getpid() in line[1:]:
            groups[pid] = next(
                (name for each in line for word, name in _KNOWN.items() if word in titles[each]), "other"
            )
    return groups


def _line_of(pid: int, parents: dict[int, int]) -> list[int]:
    """A process, its parent, and so on upwards."""
    line = [pid]
    while (parent := parents.get(line[-1], 0)) in parents:
        line.append(parent)
    return line
