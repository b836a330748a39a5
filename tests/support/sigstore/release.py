# SPDX-License-Identifier: Apache-2.0
"""A released repository whose bundles an identity has signed in the place of a key."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from tests.support.repository import Repository
from tests.support.sigstore.ca import Request
from tests.support.sigstore.instance import Bundle, Instance, LogVersion


def payload(path: Path) -> bytes:
    """What a bundle's envelope holds."""
    return base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"])


def write(path: Path, bundle: Bundle) -> None:
    path.write_text(json.dumps(bundle), "utf-8")


def resign(
    repository: Repository,
    instance: Instance,
    request: Request | None = None,
    log: LogVersion = "v2",
) -> None:
    """Signs every statement of a release again, and the summary over the new bundles."""
    folder = repository.root / "bundles"
    summary = folder / "registry.json.vsa.sigstore.json"
    for path in sorted(folder.glob("*.sigstore.json")):
        if path != summary:
            write(path, instance.attest(payload(path), request, log=log))
    statement: dict[str, Any] = json.loads(payload(summary))
    for given in statement["predicate"]["inputAttestations"]:
        content = (repository.models / given["uri"]).read_bytes()
        given["digest"]["sha256"] = hashlib.sha256(content).hexdigest()
    write(summary, instance.attest(json.dumps(statement).encode(), request, log=log))
