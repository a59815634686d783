"""What does a device spend: on a picture, on words, on its first query, on a folder of pictures?

    python -m bench.device [--pictures 108] [--repeats 5] [--json FILE]

One thread: processor time to embed a picture that is decoded and covered, and to embed words, with the bundled model;
and of nothing but onnxruntime's forward pass of the same network over the same input, in turn with it.

First query: a process of its own imports the client, embeds words and encrypts them; the time from its start until they
are handed to gRPC, and that of a process that imports numpy, grpc and onnxruntime and does nothing else.

A folder: the demo's photographs at several sizes, as `unseen deid` writes them. They are enrolled with its report,
so that no face is looked for again, then once more, when all of them are there. Beside it the bare forward pass over as
many pictures, on as many threads. Processor time is that of client and children together; the server's stands apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.accuracy import DEMO, WORDS
from bench.measure import percentile, print_table, write_json
from bench.process import cpu_seconds
from unseen.embed.bundled import FOLDER, bundled_entry
from unseen.embed.preprocess import network_input
from unseen.weights import open_session, read_manifest
from unseen_client import Client, Deidentifier
from unseen_client.child_process import worker_count
from unseen_client.demo.stage import LOOPBACK, Stage

Figures = dict[str, dict[str, float]]

COLLECTION = "photos"
SECONDS = "s"
LONGEST_SIDE_PX = 1280
SMALLER_BY_PX = 16
"""Each photograph comes again a little smaller: another file, another row, the same work."""
FIRST_QUERY = """
import sys, time
began = float(sys.argv[1])
from unseen_client import Client, rpcs

class Watched(Client):
    def _exchange(self, exchange):
        if exchange.rpc is rpcs.SEARCH:
            print(time.time() - began, time.process_time(), "torch" in sys.modules)
        super()._exchange(exchange)

with Watched(sys.argv[2], home=sys.argv[3]) as client:
    client.search_text(sys.argv[4], "a striped animal")
"""
IMPORTS = """
import sys, time
import grpc, numpy, onnxruntime
print(time.time() - float(sys.argv[1]), time.process_time(), False)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=108)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = one_thread(given.repeats)
    with Stage() as stage:
        stage.start()
        figures |= folder(stage, given.pictures)
        figures |= first_query(stage, given.repeats)
    write_json(given.json, figures)
    show(figures)


def one_thread(repeats: int) -> Figures:
    """Milliseconds of processor time for a picture and for words, and of the bare networks."""
    manifest = read_manifest(FOLDER)
    side, stretch = int(manifest.recipe["input_side_px"]), float(manifest.recipe["largest_stretch"])
    classifier = open_session(manifest.read("efficientnet-lite0.onnx"), 1)
    model = bundled_entry().load(1)
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((DEMO / "photos").glob("*.jpg"))]
    inputs = [network_input(one, side, stretch) for one in photos]
    subjects: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "a picture": (model.image, photos),
        "its forward pass alone": (lambda pixels: classifier.run(None, {"pixels": pixels}), inputs),
        "words": (model.text, WORDS),
    }
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for again in range(repeats + 1):
        for name, (work, things) in subjects.items():
            for thing in things:
                began = time.thread_time()
                work(thing)
                if again:
                    found[name].append(1000 * (time.thread_time() - began))
    return {
        name: {"ms": statistics.median(ms), "ms, 95th percentile": percentile(ms, 95)} for name, ms in found.items()
    }


def first_query(stage: Stage, repeats: int) -> Figures:
    """Seconds from the start of a process to its first encrypted query of words."""
    arguments = [f"{LOOPBACK}:{stage.port}", str(stage.home), COLLECTION]
    programs = {"until the first query": FIRST_QUERY, "imports of its libraries alone": IMPORTS}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            command = [sys.executable, "-c", program, str(time.time()), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            took, processor, torch = done.stdout.split()
            if torch != "False":
                raise AssertionError("torch was imported for a query of words")
            seconds[name].append((float(took), float(processor)))
    middle = {name: np.median(some, axis=0) for name, some in seconds.items()}
    return {name: {"s": float(took), "processor s": float(own)} for name, (took, own) in middle.items()}


def folder(stage: Stage, pictures: int) -> Figures:
    """A folder of covered pictures enrolled with the report about them, and the bare forward pass over as many."""
    source, covered = stage.scratch / "pictures", stage.scratch / "covered"
    write_pictures(source, pictures)
    with Deidentifier() as deidentifier:
        found, whole = timed(stage, lambda: deidentifier.run(source, covered))
    seen: list[int] = []
    with Client(f"{LOOPBACK}:{stage.port}", home=stage.home) as client:
        client.create_collection(COLLECTION)
        client.enrol_images(COLLECTION, sorted(covered.iterdir())[:1], deid_report=found.report_file)  # models open
        first, enrolled = timed(
            stage,
            lambda: client.enrol_from(
                COLLECTION, covered, deid_report=found.report_file, progress=lambda step: seen.append(step.done)
            ),
        )
        again, resumed = timed(stage, lambda: client.enrol_from(COLLECTION, covered, deid_report=found.report_file))
        count = client.count(COLLECTION)
    if not (count == pictures == len(again.already) == seen[-1] and seen == sorted(seen)):
        raise AssertionError(f"{count} of {pictures} are there: {first.refused}")
    figures = {"the face step, `unseen deid`": whole, "enrolled with its report": enrolled, "again, all there": resumed}
    figures["forward passes alone"] = timed(stage, lambda: forward_passes(pictures))[1]
    return {
        name: {"pictures a second": pictures / one[SECONDS], **each(one, pictures)} for name, one in figures.items()
    }


def each(spent: dict[str, float], pictures: int) -> dict[str, float]:
    return {f"{name} each": 1000 * value / pictures for name, value in spent.items() if name != SECONDS}


def write_pictures(target: Path, count: int) -> None:
    """So many different pictures from the demo's photographs, at most 1280 pixels."""
    target.mkdir()
    photos = sorted((DEMO / "photos").glob("*.jpg"))
    for at in range(count):
        picture = Image.open(photos[at % len(photos)]).convert("RGB")
        side = LONGEST_SIDE_PX - SMALLER_BY_PX * (at // len(photos))
        shrink = side / max(picture.size)
        picture.resize((round(picture.width * shrink), round(picture.height * shrink))).save(
            target / f"{at:05}.jpg", quality=90
        )


def timed(stage: Stage, work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What work gives, and what was spent: seconds, processor milliseconds here with children, and of the server."""
    server, here, began = cpu_seconds(stage.process_id), processor_s(), time.perf_counter()
    result = work()
    return result, {
        SECONDS: time.perf_counter() - began,
        "processor ms": processor_s() - here,
        "server's processor ms": cpu_seconds(stage.process_id) - server,
    }


def processor_s() -> float:
    """Processor time of this process and of its children, those that still run too."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = (Path("/proc") / "self" / "task" / str(os.getpid()) / "children").read_text().split()
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(cpu_seconds, map(int, children)))


def forward_passes(count: int) -> None:
    """The classifier alone, as many times, on as many threads as enrolment uses."""
    manifest = read_manifest(FOLDER)
    classifier = open_session(manifest.read("efficientnet-lite0.onnx"), 1)
    side = int(manifest.recipe["input_side_px"])
    pixels = np.zeros((1, 3, side, side), np.float32)
    with ThreadPoolExecutor(worker_count(None)) as pool:
        list(pool.map(lambda _: classifier.run(None, {"pixels": pixels}), range(count)))


def show(figures: Figures) -> None:
    lines = [
        (name, ", ".join(f"{value:,.2f} {unit}" for unit, value in found.items())) for name, found in figures.items()
    ]
    print_table("what a device spends", lines, ("", ""))


if __name__ == "__main__":
    main()
