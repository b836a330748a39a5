# SPDX-License-Identifier: Apache-2.0
"""Signatures over the SHA-384 of a file's bytes, as keys of ECDSA P-384 make them.

The file is read once more, for both digests at once: what is compared by SHA-256 was signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from provenance.artifacts.digest import CHUNK
from provenance.attestations.bundle import MessageSignature
from provenance.evidence.rows import BundleEvidence
from provenance.operations.named_files import opened


def compared(document: BundleEvidence, file: Path, sha256: str | None) -> BundleEvidence:
    """The bundle, its stated SHA-384 compared with the file whose bytes have that SHA-256.

    Raises:
        InputError: The file cannot be read.
    """
    if not any(map(_stating, document.files)):
        return document
    found = _digests(file)
    same = found[0] == sha256
    return replace(
        _compared(document, found[1], same),
        countersigned=tuple(_compared(c, found[1], same) for c in document.countersigned),
    )


def _stating(document: BundleEvidence) -> MessageSignature | None:
    """The signature over the bytes of a file, if it states their SHA-384."""
    content = document.bundle.content if document.bundle else None
    return content if isinstance(content, MessageSignature) and content.sha384 else None


def _compared(document: BundleEvidence, sha384: str, same: bool) -> BundleEvidence:
    content = _stating(document)
    if document.bundle is None or content is None:
        return document
    content = replace(content, is_of_file=same and content.sha384 == sha384)
    return replace(document, bundle=replace(document.bundle, content=content))


def _digests(file: Path) -> tuple[str, str]:
    """The SHA-256 and the SHA-384 of what was read in one go."""
    smaller, larger = hashlib.sha256(), hashlib.sha384()
    with opened(file) as stream:
        while chunk := stream.read(CHUNK):
            smaller.update(chunk)
            larger.update(chunk)
    return smaller.hexdigest(), larger.hexdigest()
