"""A command line that is wrong ends with one sentence, as every other wrong configuration does."""

from __future__ import annotations

import argparse
from typing import NoReturn

from unseen.errors import InvalidConfiguration


class OneSentenceParser(argparse.ArgumentParser):
    """Raises where argparse would print its whole usage and leave."""

    def error(self, message: str) -> NoReturn:
        """InvalidConfiguration with what argparse found, and where the options are explained."""
        raise InvalidConfiguration(f"{message}; `{self.prog} --help` explains every option")
