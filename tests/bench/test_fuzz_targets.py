"""Every module that parses has a target that imports it, or a reason why not."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = tuple(ROOT / folder for folder in ("core", "client", "server"))
PARSERS = {"read_json", "loads", "FromString", "MergeFromString", "ParseFromString"}
FACTS = "facts of the store, which are sealed: nobody without its keys can write others"
LEFT_OUT = {
    "unseen.json_text": "what the others read JSON with",
    "unseen.deid.text.reader": "a file of the package, held against its SHA-256 before",
    "unseen_client.cli.adapters": "cards of adapters that embed.adapter has read",
    "unseen_client.cli.audit": "receipts that audit.receipt has read, as it writes them",
    "unseen_client.demo.material": "a file of the package",
    "unseen_client.dicom.crosswalk": "entries sealed under two keys: nobody without both can write others",
    "unseen_client.flows.sync": "entries that it wrote aside itself; what they say goes to wire.entry_from_message",
    "unseen_client.gateway.enroller": "names that it wrote itself; damaged ones are none",
    "unseen_client.gateway.node_child": "what the gateway hands it at its start",
    "unseen_client.gateway.node_process": "a port, which a node says before anybody can speak to it",
    "unseen_client.gateway.quarantine": "two numbers that it wrote itself; damaged ones are none",
    "unseen_client.gateway.queue": "files sealed under the site key: nobody without it can write others",
    "unseen_server.access.grants": FACTS,
    "unseen_server.governance.clock": FACTS,
    "unseen_server.quota": FACTS,
}
"""What reads only what this program wrote itself or has read before."""


def parsing_modules() -> set[str]:
    """Modules that call one of the parsers, generated code aside."""
    found = set()
    for folder in SOURCES:
        for path in folder.rglob("*.py"):
            if "v1" not in path.parts and _calls(ast.parse(path.read_text(encoding="utf-8"))) & PARSERS:
                found.add(".".join(path.relative_to(folder).with_suffix("").parts))
    return found


def _calls(tree: ast.Module) -> set[str]:
    """Names of what is called, or handed on to be called."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {one.attr for one in calls if isinstance(one, ast.Attribute)} | {
        one.id for one in calls if isinstance(one, ast.Name)
    }


def modules_of_targets() -> set[str]:
    """Everything that a file of targets imports, and every name in it that may be a module."""
    found = set()
    for path in (ROOT / "bench/fuzz/targets").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_what_parses_is_fuzzed_or_left_out_for_a_reason() -> None:
    assert parsing_modules() - modules_of_targets() == set(LEFT_OUT)
