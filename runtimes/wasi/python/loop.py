"""An event loop for `asyncio` where there is nothing to wait for but time.

CPython's own needs a pair of sockets to wake itself from threads and signals;
here are neither. Tasks, timers, locks and queues are all that is left, and all
that programs read from standard input and print need.
"""

import asyncio
import asyncio.base_events
import time


class Waiting:
    """In the place of a selector."""

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("every task waits for another: nothing can ever happen")
        if timeout > 0:
            time.sleep(timeout)
        return []


class Loop(asyncio.base_events.BaseEventLoop):
    """Time and tasks."""

    def __init__(self):
        super().__init__()
        self._selector = Waiting()

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass


class Policy(asyncio.DefaultEventLoopPolicy):
    """Makes such loops."""

    _loop_factory = Loop


asyncio.set_event_loop_policy(Policy())
