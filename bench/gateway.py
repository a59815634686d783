"""Does the gateway lose nothing, tell nothing, keep up and survive? dcmtk and pynetdicom send, a real server takes.

    python -m bench.gateway --json bench-out/gateway.json                         everything, about half an hour

once      storescu of 1,000 slices, in pieces, while the server, the gateway and its node are killed and started again
          and the queue's disk is full once; what was not accepted is sent again. Is every object one row, and only one?
wire      objects full of planted identifiers through the gateway, among them reports whose words repeat those of their
          tags, every byte towards the server recorded: is one of them in it, as it came, taken apart (frames, messages,
          fields) or inflated?
speed     CT slices of 512 x 512 a second, accepted and searchable, both at once; and the model alone in one process.
hostile   mutated objects and bombs by C-STORE, then mutated streams of protocol units. Does the association survive or
          end, does the node go on, does everything accepted end as rows or in quarantine, how much memory was needed?

Ends with 1 when something was lost, told, doubled, stuck or too large. A small file system needs the right to mount;
without it the queue is bounded by its own setting instead of the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom

from bench import gateway_hostile
from bench.dicom_speed import make_slices
from bench.faults import disks
from bench.hostile_objects import hostile_objects
from bench.measure import machine
from tests.client.gateway.running import RunningGateway, storescu
from tests.client.real_server import RealServer
from tests.core.deid.dicom.planting import Planted, planted
from tests.core.deid.dicom.reports import planted_report
from tests.waiting import until
from unseen.deid.dicom.pseudonym import Pseudonyms
from unseen.embed.registry import default_registry
from unseen_client import Client
from unseen_client.deid.site_key import site_key
from unseen_client.demo.proxy import RecordingProxy
from unseen_client.demo.search_bytes import SHORTEST_NEEDLE, Needle, Needles
from unseen_client.demo.unwrap import views

NAME, MODEL = "scans", "bundled+dicom"
PARTS = ("once", "wire", "speed", "hostile")
SECONDS_A_SLICE = 3
PIECES = 20
MODEL_ALONE_SLICES = 20
OBJECTS_PER_REPORT = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--slices", type=int, default=1000, help="of the part once; a fifth of them for speed")
    parser.add_argument("--planted", type=int, default=60)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # pydicom warns of what is wrong with hostile objects; that is what they are for
    figures = measured(wanted.only, wanted.slices, wanted.planted, wanted.mutations)
    print(json.dumps(figures, indent=1))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))
    if found := failures(figures):
        raise SystemExit("; ".join(found))


def measured(parts: list[str], slices: int, objects: int, mutations: int) -> dict[str, Any]:
    """The figures of the wanted parts, each with a server and a gateway of its own."""
    every = {
        "once": partial(of_once, slices=slices),
        "wire": partial(of_wire, objects=objects),
        "speed": partial(of_speed, slices=max(2, slices // 5)),
        "hostile": partial(of_hostile, mutations=mutations),
    }
    figures: dict[str, Any] = {"machine": machine()}
    for part in parts:
        with TemporaryDirectory() as folder:
            figures[part] = every[part](Path(folder))
    return figures


def failures(figures: dict[str, Any]) -> list[str]:
    """What must not be."""
    wrong = []
    if once := figures.get("once"):
        wrong += [name for name in ("lost", "doubled", "not asked for", "refused") if once[name]]
    if wire := figures.get("wire"):
        wrong += ["identifiers on the wire"] * bool(wire["identifiers found"])
        wrong += ["the search is blind"] * (not wire["identifiers found in the originals"])
        wrong += ["nothing was sent on"] * (wire["accepted"] <= wire["refused"])
        wrong += ["reports were not sent on"] * (wire["reports enrolled"] < wire["reports among them"])
    if hostile := figures.get("hostile"):
        wrong += ["stuck"] * bool(hostile["left waiting"]) + ["the node died"] * bool(hostile["node restarts"])
        wrong += ["nothing came through"] * (not hostile["enrolled"] + hostile["in quarantine"])
        wrong += ["memory"] * any(peak > gateway_hostile.most_mib(name) for name, peak in hostile["peak MiB"].items())
    return wrong


@contextmanager
def site(folder: Path, *options: str) -> Iterator[tuple[RealServer, RunningGateway]]:
    """A server with a collection, and a gateway beside it."""
    server = RealServer(folder)
    with Client(server.address, home=folder / "home") as client:
        client.create_collection(NAME, model=MODEL)
    gateway = RunningGateway(folder / "home", server.address, NAME, *options)
    try:
        yield server, gateway
    finally:
        gateway.stop()
        server.stop()


def of_once(folder: Path, slices: int) -> dict[str, Any]:
    """Send everything through every fault, and compare what is there with what was accepted."""
    make_slices(folder / "slices", slices)
    may_mount = disks.can_mount(folder)
    (folder / "small").mkdir()
    with disks.mounted(folder / "small") if may_mount else nullcontext(folder / "small") as small:
        (small / "queue").mkdir(mode=0o700)
        bound = [] if may_mount else ["--queue-gib", str(16 / 1024)]
        with site(folder, "--queue", str(small / "queue"), *bound) as (server, gateway):
            figures = _sent(sorted((folder / "slices").iterdir()), server, gateway, small if may_mount else None)
            gateway.wait_until_enrolled(SECONDS_A_SLICE * slices + 60)
            with Client(server.address, home=folder / "home") as client:
                rows = Counter(record.extra["instance"] for record in client.list(NAME))
            refused = gateway.count("objects_in_quarantine")
    pseudonyms = Pseudonyms(site_key(folder / "home"))
    wanted = {
        pseudonyms.uid(str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID))
        for path in (folder / "slices").iterdir()
    }
    return {
        **figures,
        "rows": rows.total(),
        "lost": len(wanted - rows.keys()),
        "doubled": sum(count > 1 for count in rows.values()),
        "not asked for": len(rows.keys() - wanted),
        "refused": refused,
        "the disk": "a file system of 16 MiB" if may_mount else "a queue of 16 MiB",
    }


def _sent(paths: list[Path], server: RealServer, gateway: RunningGateway, small: Path | None) -> dict[str, Any]:
    """Accepted files are renamed by storescu; the others of a piece go once more with the next one."""
    pieces = [paths[at::PIECES] for at in range(PIECES)]
    left: list[Path] = []
    sendings = turned_away = 0
    faults = {
        3: ("the server is killed", server.kill),
        6: ("it is started", server.start),
        8: ("the gateway is killed and started", lambda: (gateway.kill(), gateway.start())),
        10: ("the disk is filled", lambda: small and _fill(small)),
        12: ("there is room again", lambda: small and (small / "filler").unlink()),
        14: ("the node is killed", lambda: _kill_node(gateway)),
        16: ("both are killed and started", lambda: (gateway.kill(), server.kill(), server.start(), gateway.start())),
    }
    done: list[str] = []
    at = 0
    while at < len(pieces) or left:
        if at in faults:
            done.append(faults[at][0])
            faults[at][1]()
        sending = [*left, *(pieces[at] if at < len(pieces) else [])]
        storescu(gateway.dicom_port, sending, "+rn", "-nh", "-R")
        for path in sending:
            if path.with_name(path.name + ".bad").exists():
                path.with_name(path.name + ".bad").rename(path)
        left = [path for path in sending if path.exists()]
        sendings, turned_away, at = sendings + len(sending), turned_away + len(left), at + 1
        if left:
            time.sleep(2)
    return {"objects": len(paths), "sendings": sendings, "not accepted, sent again": turned_away, "faults": done}


def _fill(small: Path) -> None:
    (small / "filler").write_bytes(bytes(max(0, disks.free_bytes(small) - (256 << 10))))


def _kill_node(gateway: RunningGateway) -> None:
    first = gateway.node_ids()
    for process_id in first:
        os.kill(process_id, signal.SIGKILL)
    until("the node is up again", lambda: gateway.node_ids() not in ([], first) and gateway.count("node_up") == 1)


def of_wire(folder: Path, objects: int) -> dict[str, Any]:
    """Identifiers in what leaves the gateway towards the server."""
    sources = [
        planted(("CT", "MR", "PT")[seed % 3], seed, ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")[seed % 2])
        for seed in range(objects)
    ]
    sources += [planted_report(seed) for seed in range(0, objects, OBJECTS_PER_REPORT)]
    paths = [folder / f"{at}.dcm" for at in range(len(sources))]
    for path, source in zip(paths, sources, strict=True):
        path.write_bytes(source.data)
    needles = Needles(of_sources(sources))
    server = RealServer(folder)
    host, _, port = server.address.rpartition(":")
    with RecordingProxy(host, int(port)) as proxy:
        with Client(proxy.address, home=folder / "home") as client:
            client.create_collection(NAME, model=MODEL)
        gateway = RunningGateway(folder / "home", proxy.address, NAME)
        try:
            for path in paths:
                storescu(gateway.dicom_port, [path], "+rn", "-nh", "-R")
            accepted = sum(path.with_name(path.name + ".done").exists() for path in paths)
            gateway.wait_until_enrolled(SECONDS_A_SLICE * len(sources) + 60)
            refused = gateway.count("objects_in_quarantine")
        finally:
            gateway.stop()
        received = proxy.received()
    with Client(server.address, home=folder / "home") as client:
        reports = [record for record in client.list(NAME) if record.extra.get("kind") == "text"]
    server.stop()
    looked_at = [view for run in received if run for view in views(run).values()]
    looked_at += [inner for view in received for inner in gateway_hostile.inflated(view)]
    found = {needle.label for view in looked_at for needle in needles.found_in(view)}
    control = {needle.label for source in sources for needle in needles.found_in(source.data)}
    return {
        "objects": len(sources),
        "reports among them": len(sources) - objects,
        "reports enrolled": len(reports),
        "accepted": accepted,
        "refused": refused,
        "bytes towards the server": sum(map(len, received)),
        "identifiers planted": sum(len(source.fragments) for source in sources),
        "identifiers found": sorted(found),
        "identifiers found in the originals": len(control),
    }


def of_sources(sources: list[Planted]) -> Iterator[Needle]:
    """Every planted fragment that is too long to occur by chance."""
    for at, source in enumerate(sources):
        for place, fragment in source.fragments:
            if len(fragment) >= SHORTEST_NEEDLE:
                yield Needle("identifiers", f"{at}: {place}", fragment)


def of_speed(folder: Path, slices: int) -> dict[str, Any]:
    """Slices a second until they are accepted, and until they can be searched, from the same start."""
    make_slices(folder / "slices", slices)
    paths = sorted((folder / "slices").iterdir())
    with site(folder) as (server, gateway):
        storescu(gateway.dicom_port, paths[:1], "-R")  # starts children and models
        gateway.wait_until_enrolled()
        cpu_before_s = gateway_hostile.cpu_below(gateway.process_id)
        started = time.perf_counter()
        assert storescu(gateway.dicom_port, paths[1:], "-R").returncode == 0
        accepted_s = time.perf_counter() - started
        gateway.wait_until_enrolled(SECONDS_A_SLICE * slices + 60)
        searchable_s = time.perf_counter() - started
        cpu_after_s = gateway_hostile.cpu_below(gateway.process_id)
        with Client(server.address, home=folder / "home") as client:
            assert client.count(NAME) == slices
    ms_a_slice = {
        name: 1000 * (used_s - cpu_before_s.get(name, 0.0)) / (slices - 1) for name, used_s in cpu_after_s.items()
    }
    model = default_registry().load("bundled")
    picture = np.random.default_rng(1).integers(0, 255, (512, 512, 3), np.uint8)
    model.image(picture)
    began = time.perf_counter()
    for _ in range(MODEL_ALONE_SLICES):
        model.image(picture)
    return {
        "slices": slices - 1,
        "accepted a second": (slices - 1) / accepted_s,
        "searchable a second": (slices - 1) / searchable_s,
        "processor ms a slice": {name: round(used, 1) for name, used in ms_a_slice.items()},
        "of all of them": round(sum(ms_a_slice.values()), 1),
        "the model alone, one thread": MODEL_ALONE_SLICES / (time.perf_counter() - began),
    }


def of_hostile(folder: Path, mutations: int) -> dict[str, Any]:
    """What became of hostile objects and streams, and what they cost."""
    with site(folder) as (_, gateway), gateway_hostile.Memory(gateway.process_id) as memory:
        outcomes = gateway_hostile.send_objects(gateway.dicom_port, hostile_objects(mutations, 1))
        streams = gateway_hostile.send_streams(gateway.dicom_port, mutations, 1)
        until_s = time.monotonic() + SECONDS_A_SLICE * mutations + 120
        while gateway.count("objects_waiting") and time.monotonic() < until_s:
            time.sleep(1)
        _, text = gateway.ask("/metrics")
        numbers = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    return {
        "objects": dict(outcomes),
        "streams": dict(streams),
        "left waiting": int(numbers["unseen_gateway_objects_waiting"]),
        "enrolled": int(numbers["unseen_gateway_enrolled_total"]),
        "in quarantine": int(numbers["unseen_gateway_objects_in_quarantine"]),
        "node restarts": int(numbers["unseen_gateway_node_restarts_total"]),
        "peak MiB": memory.peaks_mib(),
    }


if __name__ == "__main__":
    main()
