"""`unseen demo`: a real server, real photographs, and a witness on the wire that shows who saw what.

Runs on the device, which may see everything; the server is a process of its own. The photographs lie in the repository
under ``examples/demo``, not in the installed package.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

DESCRIPTION = """
Enrol photographs into a real server on loopback, search them with pictures and words, and show who saw what: bytes
counted on the socket, everything the server received searched for what it must not see, and the ranking compared with
a plaintext search. Writes contact-sheet.png and results.json. Leaves nothing running.
"""
STATUS = """
exit status: 0 when every promise held; 1 when one did not (the median place of the right answers above 3, a score
unlike plaintext, something in the clear where it may not be)
"""


def main(arguments: Sequence[str]) -> int:
    """Run the demo as `unseen demo ARGUMENTS` does; gives the exit status."""
    parser = argparse.ArgumentParser(prog="unseen demo", description=DESCRIPTION, epilog=STATUS, allow_abbrev=False)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="your own pictures instead of the repository's")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="FOLDER", help="default: demo-out")
    parser.add_argument("--json", action="store_true", help="results.json on the output, tables on the error stream")
    given = parser.parse_args(arguments)

    from unseen_client.cli.outcome import telling
    from unseen_client.demo.run import run  # models and cryptography load only for those who run it

    with telling(given.json):
        return run(given.images, given.out, given.json)
