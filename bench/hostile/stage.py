"""The server that is attacked, who attacks it, and what must be as before when they are done.

Two tenants: "kept" has rows, an agreement and consents that nobody may change; "rogue" has collections of its own,
where its messages may do what they say. A real process on loopback, with tokens and the audit log.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.measure import PASSPHRASE
from bench.process import resident_bytes
from bench.server_process import serving
from bench.terms import PURPOSE, TERMS
from unseen.errors import PolicyNotFound
from unseen_client import Client
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.vault import Vault
from unseen_server.access.table import TABLE
from unseen_server.call import Role

DIMENSION = 16
ROWS = 40
FREE, AGREED, OWNED = "free", "agreed", "owned"
KEPT, ROGUE = "kept", "rogue"
QUOTAS = ("calls-at-once", "bytes-per-minute", "searches-per-minute", "bits-per-row-per-day")
PLENTY = ("10000", "1000000000000000", "1000000000", "1000000000")
OWNER = (Role.READER, Role.CONTRIBUTOR, Role.STEWARD, Role.AUDITOR)
ROGUE_ADMIN = (*OWNER, Role.ADMIN)


@dataclass(frozen=True)
class Tokens:
    """By what they may do."""

    owner: str
    """Everything in the tenant that is kept."""
    rogue: str
    """Everything in the rogue tenant."""
    reader: str
    """A reader of one collection of the tenant that is kept."""
    operator: str
    """An operator of the tenant without a name."""

    def may_call(self, token: str, method: str) -> bool:
        """Whether who shows this may call a method at all, by the table of docs/access.md; nobody else may."""
        roles = {
            self.owner: OWNER,
            self.rogue: ROGUE_ADMIN,
            self.reader: (Role.READER,),
            self.operator: (Role.OPERATOR,),
        }
        return not TABLE[f"/unseen.v1.{method}"].roles.isdisjoint(roles.get(token, ()))


class Stage:
    """One server and what stands on it, as long as a block."""

    def __init__(self, folder: Path) -> None:
        self._held = ExitStack()
        self._furnishing = threading.Lock()
        self._folder = folder
        self.vectors = np.random.default_rng(7).standard_normal((ROWS, DIMENSION)).astype(np.float32)

    def __enter__(self) -> Self:
        with ExitStack() as held:  # ended here if anything of it fails
            self._held = held
            self._start()
            self._held = held.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    # The server

    def _command(self, module: str, *options: str) -> list[str]:
        keys = ("--data", str(self._folder / "data"), "--master-key", str(self._folder / "master.key"))
        return [sys.executable, "-m", module, *options, *keys]

    def home(self, name: str) -> Path:
        """A device's home."""
        return self._folder / name

    def _token(self, tenant: str, *roles: Role, only: str = "") -> str:
        wishes = ["--tenant", tenant, "--name", "somebody", *(f"--role={role}" for role in roles)]
        wishes += ["--collection", only] if only else []
        command = self._command("unseen_server.access", "create", *wishes, "--json")
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        token: str = json.loads(said.stdout)["token"]
        return token

    def _start(self) -> None:
        self.tokens = Tokens(
            self._token(KEPT, *OWNER),
            self._token(ROGUE, *ROGUE_ADMIN),
            self._token(KEPT, Role.READER, only=FREE),
            self._token("", Role.OPERATOR),
        )
        quotas = [text for name, number in zip(QUOTAS, PLENTY, strict=True) for text in (f"--{name}", number)]
        command = self._command("unseen_server", "--listen", "127.0.0.1:0", "--threads", "1", *quotas)
        served = self._held.enter_context(serving(command, self._folder / "log"))
        self.address, self.process = served.address, served.process
        self.owner = self.client("owner", self.tokens.owner)
        self.rogue = self.client("rogue", self.tokens.rogue)
        self.furnish(self.owner)
        self.furnish(self.rogue)

    @property
    def memory_bytes(self) -> int:
        return resident_bytes(self.process.pid)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def failures_in_log(self) -> int:
        """Calls that the server itself calls failed: errors that it did not know."""
        return (self._folder / "log").read_text().count("call failed")

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)

    # What stands on it

    def client(self, name: str, token: str) -> Client:
        home = self.home(name)
        ControllerKeys(home, Vault(home, PASSPHRASE)).make("controller")
        return self._held.enter_context(
            Client(self.address, home=home, token=token, timeout_s=120.0, passphrase=PASSPHRASE)
        )

    def furnish(self, client: Client) -> None:
        """Three collections with the same rows, one under an agreement, one owner-encrypted; what is there stays."""
        there = {one.name for one in client.list_collections()}
        ids = [str(row) for row in range(ROWS)]
        if FREE not in there:
            client.create_collection(FREE, dimension=DIMENSION, keep_vectors=False)
            client.enrol_vectors(FREE, ids, self.vectors)
        if AGREED not in there:
            client.create_collection(AGREED, dimension=DIMENSION, keep_vectors=False)
            client.set_policy(AGREED, TERMS)
            client.record_consent(AGREED, "somebody")
            client.enrol_vectors(AGREED, ids, self.vectors, subject="somebody", purpose=PURPOSE)
        if OWNED not in there:
            client.create_collection(OWNED, dimension=DIMENSION, protection="owner")
            client.enrol_vectors(OWNED, ids, self.vectors)

    def furnish_rogue(self, *, anew: bool) -> None:
        """Make anew what hostile messages did away with in their own tenant."""
        with self._furnishing:
            if anew:
                for one in self.rogue.list_collections():
                    self._let_go(one.name)
                    self.rogue.delete_collection(one.name)
            self.furnish(self.rogue)

    def _let_go(self, name: str) -> None:
        """Lift what hostile messages hold, so that the collection may be deleted."""
        with suppress(PolicyNotFound):
            for hold in self.rogue.holds(name):
                if hold.lifted_at is None:
                    self.rogue.lift_hold(name, hold.reason_code)

    def what_is_kept(self) -> dict[str, Any]:
        """Rows, documents and answers of the tenant that is kept."""
        found: dict[str, Any] = {}
        for name, purpose in ((FREE, None), (AGREED, PURPOSE), (OWNED, None)):
            hits = self.owner.search_vector(name, self.vectors[3], top_k=3, purpose=purpose)
            found[name] = {
                "best": hits[0].id,
                "cosine": round(float(hits[0].score), 1),
                "rows": sorted(record.id for record in self.owner.list(name)),
                "slots": str(self.owner.collection(name)),
            }
        found["policies"] = str(self.owner.policy(AGREED))
        found["consents"] = str(self.owner.consents(AGREED))
        found["certificates"] = len(list(self.owner.certificates(AGREED)))
        return found
