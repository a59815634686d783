"""The server as ever, but for one thing: whoever started it may read its memory. For tests that look into it.

python -P tests/server/open_server.py              starts over with memory that is overwritten, as the server does
OVERWRITE=no python -P tests/server/open_server.py  does not: what tests must find in it shows that they look well
"""

from __future__ import annotations

import os
import sys

from unseen_server import process

process._close_to_debuggers = lambda: None
if os.environ.get("OVERWRITE") != "no":
    process.overwrite_freed_memory()

process.leave_scipy_out()

from unseen_server import serving  # noqa: E402 - as the server does: only when it has started over

sys.exit(serving.main())
