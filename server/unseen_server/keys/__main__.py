"""``python -m unseen_server.keys``: look at the keys of a stopped server, change its master key, renew its keys.

    status    which provider opens the key ring, and what the ring holds
    rotate    put the key ring under another master key; no data is rewritten
    rekey     seal every row under fresh keys and destroy the old ones

Each holds the data directory alone, as a server does. A kill at any moment leaves a store that starts: after ``rotate``
with the old master key or the new one, never with neither; after ``rekey`` with every row. Exit codes are the server's.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from unseen.audit.leaf import ASKED, Details
from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    KeyServiceFailed,
    Mismatch,
    UnseenError,
)
from unseen.store.durable import DurableStore
from unseen_server.audit import Audit
from unseen_server.call import LOCAL
from unseen_server.config import Config, from_arguments, require_apart
from unseen_server.keys.choice import MasterKeyChoice, open_provider
from unseen_server.keys.passphrase import NEW_VARIABLE, passphrase_from
from unseen_server.one_sentence import OneSentenceParser
from unseen_server.opening import opened_alone
from unseen_server.process import prepare_process

DONE, FAILED, REFUSED = 0, 1, 2


def main() -> int:
    """Carry out the command that the arguments ask for."""
    prepare_process()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        given, rest = _parser().parse_known_args()
        COMMANDS[given.command](given, from_arguments(rest))
    except (InvalidConfiguration, IntegrityError, KeyServiceFailed, Mismatch) as error:
        sys.stderr.write(f"unseen server-keys: {error}\n")
        return REFUSED
    except UnseenError as error:
        sys.stderr.write(f"unseen server-keys: {error}\n")
        return FAILED
    return DONE


# Commands


def status(given: argparse.Namespace, config: Config) -> None:
    """Show which provider opens the key ring, and what it holds."""
    with _opened(config) as (store, _):
        collections = []
        for stored in store.collections():
            trees = [one for one in store.ring.content.trees if one.collection_uid == stored.info.uid]
            collections.append(
                {
                    "tenant": stored.tenant,
                    "name": stored.info.name,
                    "rows": stored.info.rows,
                    "key_nodes": sum(len(one.tree.numbers) for one in trees),
                    "rekey_interrupted": len(trees) > 1,
                }
            )
        fields = {
            "provider": store.ring.provider_kind,
            "key_ring": str(store.ring.path),
            "key_ring_bytes": store.ring.path.stat().st_size,
            "collections": collections,
        }
    _say(given, fields, _status_words(fields, collections))


def rotate(given: argparse.Namespace, config: Config) -> None:
    """Put the key ring under another master key; no data is rewritten."""
    new_choice = MasterKeyChoice.parse(given.new_master_key)
    require_apart(config.data, new_choice, config.ring_folder)
    with _opened(config) as (store, audit):
        ask = passphrase_from(given.new_passphrase_fd, NEW_VARIABLE, "passphrase of the new master key")
        provider = open_provider(new_choice, True, ask)
        with _written_down(audit, "RotateKeys"):
            store.ring.rewrap(provider)
    words = "the key ring is under the new master key; start the server with it from now on"
    if new_choice.ring_folder != config.ring_folder:
        words += f" and with --key-ring {config.ring_folder}"
    words += "\nthe old one still opens copies of the key ring from before: destroy it together with those"
    _say(given, {"rotated": True, "provider": provider.kind, "key_ring": str(config.ring_folder)}, words)


def rekey(given: argparse.Namespace, config: Config) -> None:
    """Seal every row under fresh keys; backups of the data from before open no more."""
    done: list[dict[str, str | int]] = []
    with _opened(config) as (store, audit), _written_down(audit, "RenewKeys"):
        for stored in store.collections():
            count = store.renew_keys(stored.info.uid)
            done += [{"tenant": stored.tenant, "name": stored.info.name, "rows": count}]
    rows = sum(int(one["rows"]) for one in done)
    words = f"{rows} rows of {len(done)} collections are sealed under fresh keys"
    words += "\nbackups of the data from before do not open any more: make a new one now"
    _say(given, {"rekeyed": done}, words)


COMMANDS = {"status": status, "rotate": rotate, "rekey": rekey}


# Steps


def _opened(config: Config) -> AbstractContextManager[tuple[DurableStore, Audit]]:
    return opened_alone(config, before_making=_refuse_to_make)


def _refuse_to_make() -> None:
    raise InvalidConfiguration("there is no store there; give --data, and --store, as the server has them")


@contextmanager
def _written_down(audit: Audit, act: str) -> Iterator[None]:
    """In the server's audit log: that it was about to be done, and that it was."""
    asked = audit.record_now(LOCAL, act, ASKED)
    yield
    audit.record_now(LOCAL, act, details=Details(asked=asked.index))


def _status_words(fields: dict[str, object], collections: Sequence[dict[str, object]]) -> str:
    lines = [
        f"master key of kind {fields['provider']}",
        f"key ring {fields['key_ring']}, {fields['key_ring_bytes']} bytes",
    ]
    for one in collections:
        name = f"{one['tenant']}/{one['name']}" if one["tenant"] else one["name"]
        lines.append(f"{name}: {one['rows']} rows, {one['key_nodes']} key nodes")
        if one["rekey_interrupted"]:
            lines.append("  a rekey was interrupted: nothing is lost; run it again, it destroys the old keys")
    return "\n".join(lines)


def _say(given: argparse.Namespace, fields: dict[str, object], words: str) -> None:
    sys.stdout.write((json.dumps(fields) if given.json else words) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(
        prog="unseen server-keys",
        description="The keys of a stopped server. Every other option is the server's: --data, --master-key, ...",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="status | rotate | rekey")
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.__doc__, description=command.__doc__, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object instead of words")
        if command is rotate:
            added.add_argument(
                "--new-master-key",
                required=True,
                metavar="KEY",
                help="as --master-key of `unseen serve`; a file that is not there is made",
            )
            added.add_argument(
                "--new-passphrase-fd", type=int, metavar="N", help="read its passphrase from this file descriptor"
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
