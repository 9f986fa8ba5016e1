"""Files damaged at random: bytes changed, removed, inserted and cut, mostly where headers are.

CLARA_FUZZ_SECONDS says for how long in the long run, for all stages together (60 s by default; `make fuzz`: an hour).
"""

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clara_ops.contract.errors import ClaraError

HEADER = 1500
STAGES = 3
"""So many stages share the seconds of the long run."""


def damage(content: bytes, chance: random.Random) -> bytes:
    """Change, remove, insert and cut bytes: mostly in the header."""
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5, 20])):
        place = chance.randrange(max(1, len(damaged) if chance.random() < 0.3 else min(len(damaged), HEADER)))
        match chance.randrange(6):
            case 0 | 1:
                damaged[place : place + 1] = chance.randbytes(1)
            case 2:
                damaged[place : place + 4] = b"\xff\xff\xff\xff"
            case 3:
                del damaged[place : place + chance.randrange(1, 50)]
            case 4:
                damaged[place:place] = chance.randbytes(chance.randrange(1, 20))
            case _:
                del damaged[max(place, 1) :]
    return bytes(damaged)


def damaged_runs(files: Sequence[Path], run: Callable[[Path], object], seed: int) -> Iterator[str]:
    """Run a stage on files of which one is damaged, each time another, without end.

    Args:
        files: those to choose from; each is as it was after its turn.
        run: given the file that is damaged.

    Yields:
        What each run ended with: `done`, or the name of the error. Anything but a ClaraError is raised.
    """
    chance = random.Random(seed)
    while True:
        path = chance.choice(files)
        content = path.read_bytes()
        path.write_bytes(damage(content, chance))
        try:
            run(path)
        except ClaraError as error:
            ended = type(error).__name__
        else:
            ended = "done"
        finally:
            path.write_bytes(content)
        yield ended


def long_run(files: Sequence[Path], run: Callable[[Path], object]) -> int:
    """The same for a stage's share of the long run, from a seed of its own, which is printed; how many runs it was."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    end = time.monotonic() + float(os.environ.get("CLARA_FUZZ_SECONDS", "60")) / STAGES
    return sum(1 for _ in itertools.takewhile(lambda _: time.monotonic() < end, damaged_runs(files, run, seed)))
