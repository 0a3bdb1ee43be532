"""Waiting for what another process does."""

import time


def until(what, seconds=60):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)
    return found
