"""k6 (AGPL, a program of its own, never imported) as a witness: what does it say becomes of searches in overload?

A sender written by others in another language, over another gRPC. Only its statuses are taken: it turns every message
into JSON and back, which at a megabyte a message takes more of the machine than the server has: its times are its own.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from unseen.v1 import search_pb2

ROOT = Path(__file__).parents[1]
MOST_UNDER_WAY = 200
STATUS = {4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED", 14: "UNAVAILABLE", 16: "UNAUTHENTICATED"}


def statuses_by_k6(
    program: Path, folder: Path, address: str, messages: Path, rate: float, seconds: float
) -> dict[str, int]:
    """Send so many searches a second for so long; how often each status came, and answers that were not whole."""
    said = folder / "k6.log"
    settings = {
        "MESSAGES": str(_as_k6_reads(messages, folder / "k6-messages.json")),
        "PROTO": str(ROOT / "proto"),
        "ADDRESS": address,
        "RATE": str(rate),
        "SECONDS": str(int(seconds)),
        "VUS": str(MOST_UNDER_WAY),
    }
    environment = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
    command = [str(program), "run", "--quiet", "--no-usage-report", "--no-color", "--log-format", "json"]
    command += ["--console-output", str(said)]
    subprocess.run([*command, *environment, str(ROOT / "bench/load.k6.js")], check=True, capture_output=True)
    ended = [json.loads(json.loads(line)["msg"]) for line in said.read_text().splitlines()]
    least_characters = json.loads(messages.read_text())["reply_bytes"] * 4 // 3
    return dict(Counter(_status(one, least_characters) for one in ended))


def _as_k6_reads(messages: Path, file: Path) -> Path:
    """The recorded messages as JSON objects, which is what k6 makes messages from."""
    content = json.loads(messages.read_text())
    content["queries"] = [[_as_object(part) for part in query] for query in content["queries"]]
    file.write_text(json.dumps(content))
    return file


def _as_object(part: str) -> dict[str, Any]:
    return MessageToDict(search_pb2.SearchRequest.FromString(base64.b64decode(part)))


def _status(one: dict[str, Any], least_characters: int) -> str:
    if "status" in one:
        return STATUS.get(one["status"], str(one["status"]))
    return "OK" if one["base64"] >= least_characters else "not whole"
