"""A PostgreSQL of the tests' own: a cluster in a temporary folder, reached through a socket in it, gone at the end.

Debian's package brings the programs; no service of the system is started or touched. PostgreSQL refuses to run as root,
so under root the package's user runs it.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import asyncpg

DEBIAN = Path("/usr/lib/postgresql")
ADMINISTRATOR = "unseen"
DATABASE = "unseen"
PATIENCE_S = "300"
"""For it to start or to stop."""


class Cluster:
    """A running server. Every write is as durable as in production: only then do kills mean anything."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else None
        # Short, because the name of a socket may have at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="unseen-pg-", dir="/tmp"))
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", self.data, "-U", ADMINISTRATOR, "-A", "trust", "-E", "UTF8", "--locale=C", "-k", "-N")
        self.start()
        self.execute(f"CREATE DATABASE {DATABASE}", database="postgres")

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.folder / "data"

    @property
    def address(self) -> str:
        """What ``unseen serve --store`` takes."""
        return f"postgresql://{ADMINISTRATOR}@/{DATABASE}?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Without a vacuum of its own: one that looks at a table keeps the versions that a test asks for.
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c shared_buffers=32MB"
        options += " -c autovacuum=off"
        self._run("pg_ctl", "start", "-w", "-t", PATIENCE_S, "-D", self.data, "-l", self.folder / "log", "-o", options)

    def stop(self, how: str = "immediate") -> None:
        """Stop it; "immediate" is what a crash does."""
        self._run("pg_ctl", "stop", "-w", "-t", PATIENCE_S, "-D", self.data, "-m", how)

    def remove(self) -> None:
        """Stop it and leave nothing."""
        self.stop()
        shutil.rmtree(self.folder)

    def execute(self, statement: str, database: str = DATABASE) -> list[asyncpg.Record]:
        """Carry a statement out, behind the store's back."""

        async def once() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(user=ADMINISTRATOR, database=database, host=str(self.folder))
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        with asyncio.Runner() as runner:
            return runner.run(once())

    def empty(self) -> None:
        """Take the store away, if there is one."""
        self.execute("DROP SCHEMA IF EXISTS unseen CASCADE")

    def bytes_on_disk(self) -> bytes:
        """Every file of the database and its log."""
        return b"".join(path.read_bytes() for path in sorted(self.data.rglob("*")) if path.is_file())

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        result = subprocess.run(
            command,
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            extra_groups=[] if self._user else None,
        )
        assert result.returncode == 0, (command, result.stdout, self._log())

    def _log(self) -> str:
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""


def programs() -> Path | None:
    """Where initdb and pg_ctl are: the newest of Debian's, else those on the path; None without any."""
    found = [folder / "bin" for folder in DEBIAN.glob("*") if (folder / "bin/initdb").exists()]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None
