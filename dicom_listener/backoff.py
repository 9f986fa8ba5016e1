"""How long to wait before asking again."""

import random

_SHORT_FOR = 60.0
_SHORTEST, _SHORT_CAP, _LONGEST = 0.5, 2.0, 30.0


def retry_delay(failing_for: float, spread: float | None = None) -> float:
    """Seconds until the next attempt, growing with the time that attempts have failed.

    In the first minute at most two seconds, so that a workflow that was just added is found soon; later up to half a
    minute, so that a peer that comes back is not overrun.

    Args:
        failing_for: seconds since the first of the failed attempts.
        spread: 0 to 1, where in the range of jitter; random by default.
    """
    longest = _SHORT_CAP if failing_for < _SHORT_FOR else _LONGEST
    base = min(max(failing_for / 4, _SHORTEST), longest)
    return base * (0.75 + 0.5 * (random.random() if spread is None else spread))
