"""Do malformed and hostile DICOM objects harm the device? Through the real pipeline, and what became of each.

    python -m bench.malformed_dicom --count 1200 --json bench-out/malformed-dicom.json

Every object goes through the child that cleans attributes; what comes out clean goes through the child that decodes
frames, too. Prints a table: written, refused with which reason, children that died, the slowest object, the most memory
that a child had. Ends with 1 when something else than a refusal came, or a child passed its limit. Two to five minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.hostile_objects import hostile_objects
from bench.process import peak_resident_bytes
from unseen.deid.dicom.options import Option
from unseen.errors import ImageRefused
from unseen_client.deid.attributes import MEMORY_BYTES, Attributes
from unseen_client.deid.frames import Frames

CONTAINED = "broke the process"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1200, help="mutated objects, beside the bombs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    figures = measured(wanted.count, wanted.seed)
    for line in table(figures):
        print(line)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))
    if figures["errors"] or figures["child_peak_mib"] > MEMORY_BYTES >> 20:
        raise SystemExit(1)


def measured(count: int, seed: int) -> dict[str, Any]:
    """Counts of outcomes and reasons over so many objects."""
    attributes = Attributes(bytes(range(32)), frozenset({Option.CLEAN_STRUCTURED_CONTENT}), workers=1)
    frames = Frames(workers=1)
    outcomes, reasons, errors = Counter[str](), Counter[str](), Counter[str]()
    slowest, peak = (0.0, ""), 0
    for name, data in hostile_objects(count, seed):
        started = time.perf_counter()
        step = "attributes"
        try:
            clean, report = attributes.deidentify(data)
            step = "frames"
            if report["has_pixels"]:
                frames.decode(clean)
            outcomes["clean, frames decoded" if report["has_pixels"] else "clean, no pixels"] += 1
        except ImageRefused as refusal:
            outcomes[f"refused at its {step}"] += 1
            outcomes["children that died"] += CONTAINED in str(refusal)
            reasons[re.sub(r"\d+", "N", str(refusal))] += 1
        except Exception as error:  # noqa: BLE001 - counting these is what the bench is for
            errors[f"{name}: {type(error).__name__}"] += 1
        slowest = max(slowest, (time.perf_counter() - started, name))
        peak = max(peak, peak_mib(attributes), peak_mib(frames))
    attributes.close()
    frames.close()
    return {
        "objects": outcomes.total() - outcomes["children that died"] + errors.total(),
        "outcomes": dict(outcomes),
        "reasons": dict(reasons.most_common()),
        "errors": dict(errors),
        "slowest_s": round(slowest[0], 2),
        "slowest": slowest[1],
        "child_peak_mib": peak,
    }


def peak_mib(pool: Attributes | Frames) -> int:
    """Most memory that the child which served last ever had; 0 when it is gone: its limit ended it then."""
    with pool._children.one(MEMORY_BYTES) as child:
        try:
            return peak_resident_bytes(child.process_id) >> 20
        except ProcessLookupError:
            return 0


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures as lines of a table."""
    yield f"{figures['objects']} objects; errors of the parent: {sum(figures['errors'].values())} {figures['errors']}"
    for name, count in figures["outcomes"].items():
        yield f"  {name}: {count}"
    yield f"slowest {figures['slowest_s']} s: {figures['slowest']}"
    yield f"most memory of a child {figures['child_peak_mib']} MiB"
    for reason, count in figures["reasons"].items():
        yield f"  {count:5} {reason}"


if __name__ == "__main__":
    main()
