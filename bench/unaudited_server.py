"""The server with an audit log that writes nothing: only for the bench that shows what the log costs.

It names no log, so its clients keep no receipts either. Started by ``bench.governed``; no option of the real server
does this.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future
from typing import Any

from unseen.audit.receipt import Receipt
from unseen_server import __main__, audit


def insecure_record(*_: Any, **__: Any) -> Future[Receipt]:
    """Nothing is written down."""
    done: Future[Receipt] = Future()
    done.set_result(Receipt(0, b"", ""))
    return done


if __name__ == "__main__":
    audit.Audit.record = insecure_record  # type: ignore[method-assign]
    audit.Audit.origin_of = lambda *_: ""  # type: ignore[method-assign]
    sys.exit(__main__.main())
