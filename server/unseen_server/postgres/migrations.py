"""From older schema versions of a store in PostgreSQL to today's: a numbered step each (``unseen.store.migrations``).

    3  the first that knew PostgreSQL

The versions are those of SQLite, and so are the tables; only the language of a step differs.
"""

from __future__ import annotations

from unseen.store.database import Steps

OLDEST_VERSION = 3
STEPS: Steps = {}
"""By the version that a step starts from."""
