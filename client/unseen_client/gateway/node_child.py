"""The process that listens: it speaks DICOM to the network and puts what comes into the queue, sealed.

Runs as a process of its own (``python -P -m unseen_client.gateway.node_child``) under a limit of memory. It holds the
key of the queue, and neither the site key nor a record key; it loads no model and decodes nothing.

    start      one line of JSON: the queue's folder, key and size, the node's settings    gateway -> node
    listening  one line with the port, or with why not                                    node -> gateway
    end        the pipe closes: the gateway stopped, or died                              gateway -> node
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from unseen.errors import UnseenError

BASE_BYTES = 384 << 20
"""Address space of the interpreter, its libraries and the stacks of 32 threads."""
COPIES = 6
"""Two objects on their way in, one of them held several times over while it is sealed."""
STACK_BYTES = 512 << 10


def main() -> None:
    """Listen until the pipe closes."""
    start = json.loads(sys.stdin.buffer.readline())
    threading.stack_size(STACK_BYTES)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # pynetdicom's lines name systems, and objects where it fails
    try:
        from pynetdicom import _config
    except ModuleNotFoundError:  # the gateway says what to install
        return
    from unseen_client.gateway.node import Node
    from unseen_client.gateway.node_settings import NodeSettings
    from unseen_client.gateway.queue import Queue

    _config.LOG_HANDLER_LEVEL = "none"
    threading.excepthook = _ended
    settings = NodeSettings.from_dict(start["node"])
    _limit_memory(BASE_BYTES + COPIES * (settings.largest_mib << 20))
    try:
        queue = Queue(Path(start["folder"]), bytes.fromhex(start["key"]), start["most_bytes"])
        node = Node(settings, queue.put)
    except UnseenError as error:
        _say({"error": str(error)})
        return
    _say({"port": node.port})
    threading.Thread(target=_wait_for_the_end, args=(node,), daemon=True).start()
    node.serve()


def _say(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _wait_for_the_end(node: Any) -> None:
    sys.stdin.buffer.read()
    node.stop()
    # Associations in the middle of an object end with the process: what was not answered was not accepted.
    os._exit(0)


def _ended(told: threading.ExceptHookArgs) -> None:
    """A thread that a peer's bytes brought down takes its association with it, and says nothing of what they were."""
    association = getattr(told.thread, "assoc", None)
    if association is not None:
        association.dul.socket.close()
        association.is_established, association._kill = False, True  # noqa: SLF001 - kill() waits for this very thread


def _limit_memory(size_bytes: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):  # not Linux: the node's own limits hold
        return


if __name__ == "__main__":
    main()
