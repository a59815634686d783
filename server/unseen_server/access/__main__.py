"""``python -m unseen_server.access``: tokens made, listed and revoked on the server's machine, while no server runs.

This is how a server gets its first token, and the only way to bind a client certificate's name. Who may read the master
key may do anything here. Every option that this command does not know is the server's: --data, --master-key, ...
The text of a new token is all there is on the standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime

from unseen.audit.leaf import ASKED, Details
from unseen.bearer import BearerToken, draw_secret, life_s, secret_hash, token_uid
from unseen.entropy import random_uid
from unseen.errors import InvalidInput, UnseenError
from unseen_server import limits
from unseen_server.access.grants import Grant, Grants
from unseen_server.access.names import require_collections, require_name, require_roles, require_tenant
from unseen_server.audit import Audit
from unseen_server.call import LOCAL, Allowance, Caller, Role
from unseen_server.config import QUOTAS, from_arguments
from unseen_server.one_sentence import OneSentenceParser
from unseen_server.opening import opened_alone
from unseen_server.process import prepare_process

DONE, FAILED, REFUSED = 0, 1, 2


def main() -> int:
    """Do what the command line asks for."""
    prepare_process()
    try:
        given, rest = _parser().parse_known_args()
        with opened_alone(from_arguments(rest)) as (store, audit):
            COMMANDS[given.command](given, Grants(store), audit)
    except InvalidInput as error:
        sys.stderr.write(f"unseen tokens: {error}\n")
        return REFUSED
    except UnseenError as error:
        sys.stderr.write(f"unseen tokens: {error}\n")
        return FAILED
    return DONE


def create(given: argparse.Namespace, grants: Grants, audit: Audit) -> None:
    """Make a token, or bind a certificate's name."""
    now = int(time.time())
    life = life_s(given.expires)
    if life > limits.MAX_TOKEN_LIFE_S:
        raise InvalidInput(f"a token lives at most {limits.MAX_TOKEN_LIFE_S // 86400} days; give a shorter --expires")
    certificate = require_name(given.certificate) if given.certificate else ""
    secret = b"" if certificate else draw_secret()
    caller = Caller(
        require_tenant(given.tenant),
        require_name(given.name),
        require_roles(given.role),
        require_collections(given.collection) if given.collection else None,
        Allowance(**{name: getattr(given, name) for name in QUOTAS}),
    )
    hashed = secret_hash(secret) if secret else b""
    grant = Grant(random_uid(), caller, now, now + life, hashed, certificate, LOCAL.name)
    details = Details(request_id=random_uid())
    audit.record_now(LOCAL, "CreateToken", ASKED, details)
    grants.add(grant, details.request_id)
    audit.record_now(LOCAL, "CreateToken", details=details)
    written = "" if certificate else BearerToken(grant.uid, secret).text()
    _say(given, {"token": written, **_fields(grant)}, written or f"bound {grant.uid.hex()}")
    sys.stderr.write(f"{_words(grant)}\n" if not given.json else "")


def show(given: argparse.Namespace, grants: Grants, audit: Audit) -> None:
    """List every token of every tenant."""
    audit.record_now(LOCAL, "ListTokens")
    found = grants.all()
    _say(given, {"tokens": [_fields(grant) for grant in found]}, "\n".join(map(_words, found)) or "no tokens yet")


def revoke(given: argparse.Namespace, grants: Grants, audit: Audit) -> None:
    """End a token for good."""
    details = Details(request_id=random_uid())
    audit.record_now(LOCAL, "RevokeToken", ASKED, details)
    grant = grants.revoke(token_uid(given.uid), int(time.time()), details.request_id)
    audit.record_now(LOCAL, "RevokeToken", details=details)
    _say(given, {"revoked": grant.uid.hex()}, f"revoked {grant.uid.hex()}")


COMMANDS = {"create": create, "list": show, "revoke": revoke}


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="unseen tokens", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.__doc__, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object")
        if command is create:
            _add_wishes(added)
        if command is revoke:
            added.add_argument("uid", help="as `list` shows it")
    return parser


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", default="", help="whose data; the first tenant, which has no name, when left out")
    parser.add_argument("--name", required=True, help="who will use it")
    parser.add_argument("--role", action="append", default=[], help=f"one of {', '.join(Role)}; several are possible")
    parser.add_argument("--collection", action="append", default=[], help="reach these only; several are possible")
    parser.add_argument("--expires", default="90d", help="90d, 12h or 30min; a year at most")
    parser.add_argument("--certificate", metavar="NAME", help="for client certificates of this common name, no token")
    for name, (_, what) in QUOTAS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"{what}; the server's if left out"
        )


def _say(given: argparse.Namespace, fields: dict[str, object], words: str) -> None:
    sys.stdout.write((json.dumps(fields) if given.json else words) + "\n")


def _fields(grant: Grant) -> dict[str, object]:
    caller = grant.caller
    return {
        "uid": grant.uid.hex(),
        "tenant": caller.tenant,
        "name": caller.name,
        "roles": sorted(caller.roles),
        "collections": None if caller.collections is None else sorted(caller.collections),
        "expires_at": grant.expires_at,
        "revoked_at": grant.revoked_at,
        "made_by": grant.made_by,
        "certificate": grant.certificate,
    }


def _words(grant: Grant) -> str:
    caller = grant.caller
    scope = "every collection" if caller.collections is None else ", ".join(sorted(caller.collections))
    end = f"until {datetime.fromtimestamp(grant.expires_at, UTC):%Y-%m-%d %H:%M} UTC"
    return "\t".join(
        [
            grant.uid.hex(),
            caller.tenant or "(first tenant)",
            caller.name,
            ", ".join(sorted(caller.roles)),
            scope,
            end if grant.revoked_at is None else "revoked",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
