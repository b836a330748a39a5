# SPDX-License-Identifier: Apache-2.0
"""Passphrases and PINs: from the environment, or from the user at the terminal.

Never from an argument, which every list of processes shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from provenance.errors import UnavailableError

Ask: TypeAlias = Callable[[str], str]
"""Asks a person for what it is given the name of, without showing the answer."""


@dataclass(frozen=True)
class Secret:
    """What opens a key: what it is called, and the environment variable that may hold it."""

    name: str
    variable: str

    def get(self, of: str, ask: Ask | None) -> str:
        """The secret of a key; `of` names it.

        Raises:
            UnavailableError: If it is not in the environment, and there is no terminal to ask at.
        """
        found = os.environ.get(self.variable)
        if found:
            return found
        if ask is None:
            raise UnavailableError(
                f"{of} needs a {self.name}",
                help=f"Put it in {self.variable}, or sign at a terminal, which asks for it.",
            )
        return ask(f"{self.name} of {of}")


PASSPHRASE = Secret("passphrase", "PROVENANCE_KEY_PASSPHRASE")
PIN = Secret("PIN", "PROVENANCE_KEY_PIN")
