"""Where a passphrase comes from: a file descriptor, an environment variable, or whoever sits at the terminal.

Never from the command line: every user of the machine can read that. An environment variable can be read by other
processes of the same user as long as the server runs; a descriptor cannot.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable

from unseen.errors import InvalidConfiguration

AskPassphrase = Callable[[bool], str]
"""Gives the passphrase; asks twice when told that it is a new one."""
VARIABLE = "UNSEEN_MASTER_PASSPHRASE"
NEW_VARIABLE = "UNSEEN_NEW_MASTER_PASSPHRASE"
SHORTEST = 12
"""Characters. scrypt makes a guess cost half a second; it does not make a short passphrase long."""
LONGEST = 4096


def passphrase_from(descriptor: int | None, variable: str, what: str) -> AskPassphrase:
    """How to get a passphrase when it is needed: the descriptor if one is named, else the variable, else the terminal.

    ``what`` is how a prompt names it. InvalidConfiguration when there is none or it is too short.
    """

    def ask(is_new: bool) -> str:
        if descriptor is not None:
            given = _from_descriptor(descriptor)
        elif variable in os.environ:
            given = os.environ[variable]
        else:
            given = _from_terminal(variable, what, is_new)
        if is_new and len(given) < SHORTEST:
            raise InvalidConfiguration(f"the {what} has {len(given)} characters; give at least {SHORTEST}")
        return given

    return ask


def _from_descriptor(descriptor: int) -> str:
    try:
        with os.fdopen(descriptor, "rb") as file:
            line = file.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(
            f"the passphrase cannot be read from file descriptor {descriptor}: {error}"
        ) from error
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InvalidConfiguration(f"what file descriptor {descriptor} gives is no UTF-8 text") from None


def _from_terminal(variable: str, what: str, is_new: bool) -> str:
    if not sys.stdin.isatty():
        raise InvalidConfiguration(f"nobody is there to ask for the {what}; set {variable} or give a file descriptor")
    given = getpass.getpass(f"{what[0].upper()}{what[1:]}: ")
    if is_new and getpass.getpass("Again: ") != given:
        raise InvalidConfiguration(f"the two entries of the {what} differ; nothing was written, start again")
    return given
