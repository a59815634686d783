"""``python -m unseen_server``: start, say where, serve until asked to stop. What it does is in ``serving``.

Loaded twice: the first time only to start over with memory that is overwritten when it is freed.
"""

from __future__ import annotations

import sys

from unseen_server.process import leave_scipy_out, leave_the_log_to_us, overwrite_freed_memory


def main() -> int:
    """Run the server that the command line asks for; the exit code."""
    leave_the_log_to_us()
    leave_scipy_out()
    from unseen_server import serving  # only now: the first time none of it is needed

    return serving.main()


if __name__ == "__main__":
    overwrite_freed_memory()
    sys.exit(main())
