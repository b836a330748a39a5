# SPDX-License-Identifier: Apache-2.0
"""Read checksum files, as the coreutils programs `sha256sum`, `md5sum` and others write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from provenance.artifacts.documents.strict_json import Position
from provenance.frozen import dataclass

ALGORITHMS: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b")
"""The algorithms whose digests a line may have."""

_LINE: Final = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9A-Fa-f]+) (?: |\*)(?P<name>.+)")
_TAGGED: Final = re.compile(
    r"(?P<escaped>\\?)(?P<algorithm>[A-Za-z0-9-]+) \((?P<name>.+)\) = (?P<digest>[0-9A-Fa-f]+)"
)
_ESCAPE: Final = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED: Final = {"\\": "\\", "n": "\n", "r": "\r"}


class ChecksumError(ValueError):
    """A line is not one of a checksum file. The message is a clause.

    Attributes:
        position: The start of the line.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"{message}, at line {line}")
        self.position = Position(line, 1)


@dataclass(frozen=True, slots=True)
class Checksum:
    """A line of a checksum file.

    Attributes:
        name: The name of the file.
        algorithm: The algorithm of a tagged line (`SHA256 (name) = …`), in lower case, or None.
        digest: The hex digits as written.
        line: The 1-based number of the line.
        start: The offset of the digest in the text.
    """

    name: str
    algorithm: str | None
    digest: str
    line: int
    start: int


def read(text: str) -> Iterator[Checksum]:
    """Yield the lines of a checksum file. Empty lines and comments (`#`) are ignored.

    Raises:
        ChecksumError: If a line is not a digest and a name.
    """
    at = 0
    for number, line in enumerate(text.split("\n"), 1):
        written = line.removesuffix("\r")
        if written.strip() and not written.startswith("#"):
            match = _LINE.fullmatch(written) or _TAGGED.fullmatch(written)
            if match is None:
                raise ChecksumError("expected a digest, two blanks and a file name", number)
            found = match.groupdict()
            name, tag = found["name"], found.get("algorithm")
            yield Checksum(
                name=_ESCAPE.sub(partial(_unescaped, number), name) if found["escaped"] else name,
                algorithm=None if tag is None else re.sub("[-_]", "", tag.lower()),
                digest=found["digest"],
                line=number,
                start=at + match.start("digest"),
            )
        at += len(line) + 1


def _unescaped(line: int, match: re.Match[str]) -> str:
    found = _ESCAPED.get(match[1])
    if found is None:
        raise ChecksumError(f"{match[0]!r} is not an escape", line)
    return found
