"""A server of sockets in threads that takes no more connections at once than it was told; one more is closed at once.

Runs at the edge of the site, for the DICOM node and for REST. Holds nothing, and says nothing of what went wrong.
"""

from __future__ import annotations

import threading
from socketserver import ThreadingMixIn
from typing import Any


class BoundedThreads(ThreadingMixIn):
    """In front of a server's class; ``free`` is to be there before the first connection."""

    daemon_threads = True
    block_on_close = False
    free: threading.BoundedSemaphore
    """One for each connection that a thread may have."""

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a thread is free for it."""
        return self.free.acquire(blocking=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start its thread."""
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self.free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that left, or a handshake that failed: no word of it, it may hold anything."""
