"""The demo from beginning to end: enrol, search, compare, look for leaks, show. Runs on the device; wires the rest.

Exit status 0 when every promise held, 1 when one did not: see ``Findings.faults``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.text import Text

from unseen.errors import InvalidInput
from unseen.params import by_id
from unseen_client.demo import material
from unseen_client.demo.compare import Float32Array, agreement, plain_scores, rank_of
from unseen_client.demo.findings import Answer, Findings
from unseen_client.demo.material import Material, Query
from unseen_client.demo.proxy import RecordingProxy
from unseen_client.demo.search_all import look
from unseen_client.demo.secrets import Secrets
from unseen_client.demo.show import draw_sheet, picture_bytes, show
from unseen_client.demo.stage import LOOPBACK, Stage, ending_cleanly
from unseen_client.demo.tables import Call
from unseen_client.keys.keystore import KeyStore
from unseen_client.prepare import Preparer
from unseen_client.records import Record
from unseen_client.report import Hit
from unseen_client.sync import Client

COLLECTION = "photos"
COMPARED = 10
TIMEOUT_S = 120.0

Result = TypeVar("Result")


def run(images: Path | None, out: Path, as_json: bool) -> int:
    """See ``unseen_client.demo.main``."""
    console = Console(stderr=as_json)
    with ending_cleanly(), Stage() as stage:
        chosen = material.your_own(images, stage.scratch) if images else material.bundled()
        _require_folder(out)
        console.print(f"[bold]Unseen[/bold]: {len(chosen.photographs)} photographs, {len(chosen.queries)} queries")
        console.print("starting a server on loopback; the first start on a machine compiles the scan ...")
        stage.start()
        with RecordingProxy(LOOPBACK, stage.port) as proxy:
            scene = Scene(console, proxy, stage, chosen)
            findings, secrets = scene.play(fixed_answers=images is None)
            received = proxy.received()
        stage.stop()
        on_disk = stage.on_disk()
        console.print("searching everything the server received and kept ...\n")
        findings.sightings = look(secrets.needles(), received, on_disk)
    show(console, findings, sum(map(len, received)), sum(map(len, on_disk.values())))
    draw_sheet(out / "contact-sheet.png", findings)
    findings.write(out / "results.json")
    faults = findings.faults()
    for fault in faults:
        console.print(Text.assemble(("failed", "bold red"), f": {fault}"))
    console.print(
        f"see {out / 'contact-sheet.png'} and {out / 'results.json'}; the server has ended, its files are gone",
        markup=False,
    )
    if as_json:
        sys.stdout.write((out / "results.json").read_text(encoding="utf-8"))
    return 1 if faults else 0


class Scene:
    """The client's part, played through the proxy; the same is computed in plaintext on the side, to compare."""

    def __init__(self, console: Console, proxy: RecordingProxy, stage: Stage, chosen: Material) -> None:
        self._console = console
        self._proxy = proxy
        self._stage = stage
        self._chosen = chosen
        self._calls: list[Call] = []

    def play(self, fixed_answers: bool) -> tuple[Findings, Secrets]:
        """Enrol, then ask every query."""
        chosen = self._chosen
        with Client(self._proxy.address, home=self._stage.home, timeout_s=TIMEOUT_S) as client, Preparer() as preparer:
            collection = self._counted("create the collection", lambda: client.create_collection(COLLECTION))
            findings = self._enrol(client, fixed_answers)
            enrolled = {row: preparer.image(chosen.photographs[row]) for row in findings.report.ids}
            findings.covered = [
                (max(face.score for face in image.report.faces), picture_bytes(image.covered))
                for image in enrolled.values()
                if image.report.faces
            ]
            rows = np.stack([image.vector for image in enrolled.values()])
            vectors = []
            for query in chosen.queries:
                answer, vector = self._ask(client, preparer, query, list(enrolled), rows)
                findings.answers.append(answer)
                vectors.append(vector)
        secrets = Secrets(
            by_id(collection.parameter_id),
            photographs=list(chosen.photographs.values()),
            captions=list(chosen.captions.values()),
            ids=list(chosen.photographs),
            thumbnails=[image.thumbnail for image in enrolled.values()],
            enrolled=rows,
            pictures=[query.picture for query in chosen.queries if query.picture is not None],
            words=[query.text for query in chosen.queries],
            queries=np.stack(vectors),
            record_keys=[key.record_key for key in KeyStore(self._stage.home).all()],
        )
        return findings, secrets

    def _enrol(self, client: Client, fixed_answers: bool) -> Findings:
        chosen = self._chosen
        records = [
            Record(id=row, name=path.name, caption=chosen.captions[row], link=str(path))
            for row, path in chosen.photographs.items()
        ]
        paths = list(chosen.photographs.values())
        bar = self._console.is_terminal
        self._console.print(f"enrolling {len(paths)} photographs: decode, cover faces, embed, seal, send ...")
        report = self._counted(
            f"enrol {len(paths)} photographs",
            lambda: client.enrol_images(COLLECTION, paths, records=records, progress=bar),
        )
        self._console.print(f"{report}; a refused or covered image never leaves the device as it was")
        for refusal in report.refused:
            self._console.print(f"  refused {refusal.source}: {refusal.reason}", markup=False)
        if not report.ids or not chosen.queries:
            raise InvalidInput("none of these pictures could be enrolled; give a folder with photographs")
        self._counted("fetch the sealed catalogue", lambda: client.list(COLLECTION))
        return Findings(fixed_answers, report, self._calls)

    def _ask(
        self, client: Client, preparer: Preparer, query: Query, ids: list[str], rows: Float32Array
    ) -> tuple[Answer, Float32Array]:
        """One query through the SDK, beside the same query in plaintext."""
        before, began = self._proxy.traffic(), time.monotonic()
        hits = _search(client, query, len(ids))
        call = Call(query.label, self._proxy.traffic() - before, time.monotonic() - began)
        if query.picture is None:
            vector, picture, covered, scale = preparer.text(query.text), None, 0, preparer.text_score_scale
        else:
            image = preparer.image(query.picture)
            vector, picture, covered, scale = image.vector, picture_bytes(image.covered), image.faces_covered, 1.0
        close = agreement(ids, scale * plain_scores(rows, vector), {hit.id: hit.score for hit in hits}, COMPARED)
        rank = rank_of(query.expected, [hit.id for hit in hits])
        return Answer(query, hits, rank, close, call, picture, covered), vector

    def _counted(self, name: str, work: Callable[[], Result]) -> Result:
        before, began = self._proxy.traffic(), time.monotonic()
        result = work()
        self._calls.append(Call(name, self._proxy.traffic() - before, time.monotonic() - began))
        return result


def _require_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot write into {out}: {error.strerror}; give --out another folder") from error


def _search(client: Client, query: Query, top_k: int) -> list[Hit]:
    if query.picture is None:
        return client.search_text(COLLECTION, query.text, top_k=top_k)
    return client.search_image(COLLECTION, query.picture, top_k=top_k)
