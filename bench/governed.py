"""What does it cost to know who asks, to count what they get, and to write it down? The same search, side by side.

    python -m bench.governed --rows N --dim 512 --json FILE [--earlier CHECKOUT]

Two servers with the same rows. One is as plain as a server can be: no token, no quota, and an audit log that writes
nothing (``bench.unaudited_server``). The other is the real one, and on it everybody is written down: one side comes
from this machine without a token, which passes no check of a token and no quota; one shows a token, one a signed token
(ES256), and their quotas are counted and kept on disk. The sides take turns, query by query, so that what disturbs one
disturbs all. A further side is a further line in ``SIDES``. With ``--earlier`` the server of another release stands
beside them, run from a checkout of it: one from before there were tokens, quotas and an audit log. Then the checks
alone, in processor time.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.access_checks import check_us
from bench.measure import memory_folder, print_table, write_json
from bench.server_process import serving
from bench.sides import in_turn, parser_of, ratios, show, spread_ms
from bench.timed_client import TimedClient
from bench.vectors import clustered_vectors

COLLECTION = "bench"
SEED = 17
PAUSE_S = 0.2
"""Between searches: pools of key material and masks fill up."""
ISSUER, AUDIENCE = "https://bench.example", "unseen"
BITS_PER_DAY = "20000"
"""More than the bench uses, and few enough that what is reserved on disk is used up and reserved anew."""
ENROLMENTS, ROWS_EACH = 8, 1000


class Governed:
    """Two servers, the same rows in both, and a client for every side."""

    def __init__(self, rows: int, dimension: int, repeats: int, earlier: Path | None = None) -> None:
        self.rows, self.dimension, self.repeats = rows, dimension, repeats
        self.figures: dict[str, Any] = {"rows": rows, "dim": dimension, "repeats": repeats}
        self._random = np.random.default_rng(SEED + 1)
        self._earlier = earlier
        self._sides = dict(SIDES) | ({} if earlier is None else {"an earlier release": (EARLIER, no_token)})

    def run(self) -> None:
        """Enrol, search in turns, enrol in turns."""
        vectors = clustered_vectors(self.rows, self.dimension, SEED)
        with ExitStack() as held:
            key = ec.generate_private_key(ec.SECP256R1())
            programs = dict.fromkeys(program for program, _ in self._sides.values())
            places = {program: Place(program, held, key, self._earlier) for program in programs}
            clients = {}
            for name, (program, make_token) in self._sides.items():
                token = make_token(places[program], key)
                clients[name] = held.enter_context(places[program].client(token))
            for program, place in places.items():
                first = next(clients[name] for name, (its, _) in self._sides.items() if its == program)
                place.fill(first, vectors)
            self._search(clients, vectors)
            self._enrol(clients)
        self.figures["check_us"] = check_us()

    def _search(self, clients: Mapping[str, TimedClient], vectors: np.ndarray) -> None:
        packing = next(iter(clients.values())).packing_of(COLLECTION)
        for client in clients.values():
            client.search_vector(COLLECTION, vectors[0])  # fetches the catalogue, and the pool begins to fill
        seconds: dict[str, list[float]] = {name: [] for name in clients}
        waits: dict[str, list[float]] = {name: [] for name in clients}
        for round_number in range(self.repeats + 1):
            query = vectors[self._random.integers(0, self.rows)]
            for name in in_turn(clients, round_number):
                clients[name].wait_for_pool(packing)
                time.sleep(PAUSE_S)
                _, times = clients[name].timed_search(COLLECTION, query)
                if round_number:
                    seconds[name].append(times.total)
                    waits[name].append(times.wait)
        self.figures["search_ms"] = {name: spread_ms(values) for name, values in seconds.items()}
        self.figures["server_part_ms"] = {name: spread_ms(values) for name, values in waits.items()}
        self.figures["search_ratio"] = ratios(seconds)

    def _enrol(self, clients: Mapping[str, TimedClient]) -> None:
        seconds: dict[str, list[float]] = {name: [] for name in clients}
        for round_number in range(min(ENROLMENTS, self.repeats) + 1):
            for name in in_turn(clients, round_number):
                vectors = self._random.standard_normal((ROWS_EACH, self.dimension)).astype(np.float32)
                ids = [f"{name}-{round_number}-{row}" for row in range(ROWS_EACH)]
                began = time.perf_counter()
                clients[name].enrol_vectors(COLLECTION, ids, vectors)
                if round_number:
                    seconds[name].append(time.perf_counter() - began)
        self.figures["enrol_rows_per_s"] = {name: ROWS_EACH / statistics.median(one) for name, one in seconds.items()}
        self.figures["enrol_ratio"] = ratios(seconds)


# The sides, the plain one first


class Place:
    """A server of one program with a folder of its own; started when its first client is made."""

    def __init__(self, program: str, held: ExitStack, key: ec.EllipticCurvePrivateKey, earlier: Path | None) -> None:
        self._program, self._held, self._earlier = program, held, earlier
        self._folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        # A device has a disk of its own: on one disk the server's fsync would wait for the device's receipts as well.
        self._device = Path(held.enter_context(tempfile.TemporaryDirectory(dir=memory_folder()))) / "device"
        self.where = ["--data", str(self._folder / "data"), "--master-key", str(self._folder / "key")]
        self._keys = self._folder / "issuer.pem"
        self._keys.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self._address = ""

    def client(self, token: Callable[[], str] | None) -> TimedClient:
        """A client with a token, or without."""
        self._address = self._address or self._start()
        return TimedClient(self._address, home=self._device, timeout_s=300.0, token=token)

    def fill(self, client: TimedClient, vectors: np.ndarray) -> None:
        """Enrol the rows."""
        client.create_collection(COLLECTION, dimension=vectors.shape[1], keep_vectors=False)
        client.enrol_vectors(COLLECTION, [str(row) for row in range(len(vectors))], vectors)

    def _start(self) -> str:
        command, environment = self._command(), dict(os.environ)
        if self._program == EARLIER:
            sources = [str(self._earlier / name) for name in ("core", "server")] if self._earlier else []
            environment["PYTHONPATH"] = os.pathsep.join(sources)
        return self._held.enter_context(serving(command, self._folder / "log", environment)).address

    def _command(self) -> list[str]:
        if self._program == EARLIER:
            return [sys.executable, "-m", REAL, *self.where, "--listen", "127.0.0.1:0"]
        command = [sys.executable, "-m", self._program, *self.where, "--listen", "127.0.0.1:0"]
        command += ["--auth", "loopback-open", "--bits-per-row-per-day", BITS_PER_DAY]
        return [*command, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE, "--jwt-keys", str(self._keys)]


def no_token(place: Place, key: ec.EllipticCurvePrivateKey) -> Callable[[], str] | None:
    return None


def own_token(place: Place, key: ec.EllipticCurvePrivateKey) -> Callable[[], str]:
    """A token as an administrator makes one, on a server that runs."""
    with place.client(None) as local:
        text = local.create_token("bench", ["reader", "contributor"], tenant="")
    return lambda: text


def signed_token(place: Place, key: ec.EllipticCurvePrivateKey) -> Callable[[], str]:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "signed", "exp": int(time.time()) + 36_000}
    claims |= {"unseen_tenant": "", "unseen_roles": ["reader", "contributor"]}
    text = jwt.encode(claims, key, "ES256")
    return lambda: text


PLAIN, REAL, EARLIER = "bench.unaudited_server", "unseen_server", "unseen_server of an earlier release"
SIDES: Mapping[str, tuple[str, Callable[[Place, ec.EllipticCurvePrivateKey], Callable[[], str] | None]]] = {
    "nothing of it": (PLAIN, no_token),
    "audit log": (REAL, no_token),
    "audit log, token, quotas": (REAL, own_token),
    "audit log, signed token, quotas": (REAL, signed_token),
}
"""A program and what its client shows; the first one is what the others are compared with."""


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--earlier", type=Path, metavar="CHECKOUT", help="of an earlier release, to compare with too")
    given = parser.parse_args()
    bench = Governed(given.rows, given.dim, given.repeats, given.earlier)
    bench.run()
    title = f"one search of {given.rows:,} rows of {given.dim}: what it costs to govern it"
    show(title, bench.figures)
    checks = [(name, f"{us:,.0f}") for name, us in bench.figures["check_us"].items()]
    print_table("processor time of a check", checks, ("", "microseconds"))
    write_json(given.json, bench.figures)


if __name__ == "__main__":
    main()
