"""The order of a workflow's stages: who waits for whom, and whether that can ever come to an end."""

from collections.abc import Mapping


def running_order(after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Names so that each comes after those that it waits for; otherwise as they were given."""
    done: list[str] = []
    waiting = list(after)
    while waiting:
        ready = next(name for name in waiting if all(other in done for other in after[name]))
        waiting.remove(ready)
        done.append(ready)
    return tuple(done)


def find_cycle(after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """Stages that wait for each other in a ring, first and last the same; None where there is no ring."""
    settled: set[str] = set()
    for start in after:
        path: list[str] = []
        stack = [(start, 0)]
        while stack:
            name, depth = stack.pop()
            del path[depth:]
            if name in path:
                return (*path[path.index(name) :], name)
            if name in settled:
                continue
            path.append(name)
            stack.extend((other, depth + 1) for other in after[name])
        settled.update(_reach(start, after))
    return None


def earlier(name: str, after: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """All stages that are over before the stage of that name starts."""
    return frozenset().union(*(_reach(other, after) for other in after[name]))


def _reach(name: str, after: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    found = {name}
    waiting = [name]
    while waiting:
        for other in after[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return frozenset(found)
