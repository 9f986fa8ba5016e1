"""The real Triton, as `clara-triton serve` runs it."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Triton:
    """A running `clara-triton`."""

    process: "subprocess.Popen[bytes]"
    addresses: dict[str, str]


def start_triton(folder: Path, *options: str) -> Triton:
    """Start one on free ports, its addresses in a file of the folder; ready when this returns."""
    ready = folder / "triton.json"
    command = [sys.executable, "-m", "clara_ops.inference.command", "serve", "--ready-file", str(ready), *options]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not ready.is_file():
        assert process.poll() is None, "clara-triton ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return Triton(process, json.loads(ready.read_text()))
