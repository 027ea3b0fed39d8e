"""Ctrl-C and SIGTERM that wait for the end of a step."""

from __future__ import annotations

from admin_py.base.signals import Deferred


class DeferredInterrupt(Deferred):
    """While it is entered, Ctrl-C or SIGTERM only sets `requested`; a second Ctrl-C raises
    KeyboardInterrupt at once.

    Only the main thread can receive signals; in another one, and where they are ignored, nothing changes. Who
    handled SIGTERM before is told of it afterwards.

    Examples
    --------
    >>> import signal
    >>> with DeferredInterrupt() as interrupt:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print(interrupt.requested)
    True
    """

    def __init__(self) -> None:
        super().__init__(self._request, self._raise)
        self.requested = False

    def _request(self) -> None:
        self.requested = True

    def _raise(self) -> None:
        raise KeyboardInterrupt

    def __enter__(self) -> DeferredInterrupt:
        super().__enter__()
        return self
