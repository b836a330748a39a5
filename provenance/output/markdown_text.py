# SPDX-License-Identifier: Apache-2.0
"""Text in Markdown that shows itself and does nothing else, whatever it is."""

from __future__ import annotations

import re
from typing import Final

from provenance.output.text import printable

_MARKUP: Final = re.compile(r"[^\w .,;'\"()/=+%…×-]|_|(?<=www)\.", re.IGNORECASE)
_CODE: Final = re.compile("&#96;(.+?)&#96;")


def escaped(text: str) -> str:
    """`text` as Markdown that shows it and does nothing else, in a line or in a cell.

    What stands between backticks is shown as code: field names in messages do.
    """
    plain = _MARKUP.sub(lambda match: f"&#{ord(match[0])};", printable(text))
    return _CODE.sub(r"<code>\1</code>", plain)


def code(text: str) -> str:
    """`text` as code, in a line or in a cell."""
    return f"<code>{escaped(text.replace('`', ' '))}</code>"
