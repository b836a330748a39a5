# SPDX-License-Identifier: Apache-2.0
"""Write the measured part of docs/interoperability.md: `python -m tests.interop.page`.

It contains answers and versions, but nothing that differs between runs.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.interop.clients import Cosign, SigstoreJs, SigstorePython
from tests.interop.credentials import Credential, Identity, Key
from tests.interop.instance.instance import Services, running
from tests.interop.matrix import Answer, Clients, Document, Matrix, measure
from tests.interop.peers import COSIGN, SERVICES, Peers, prepare
from tests.interop.release import REPOSITORY, Released, export, make_keyless_release, make_release

PAGE: Final = REPOSITORY / "docs" / "interoperability.md"
_MEASURED: Final = re.compile(r"(<!-- measured -->\n).*?(<!-- measured until here -->)", re.DOTALL)


def versions_of(peers: Peers, clients: Clients) -> dict[str, str]:
    """Return the measured clients and services with their versions."""
    services = {"fulcio": "Fulcio", "rekor": "Rekor v2", "timestamp-server": "timestamp-authority"}
    return {
        "cosign": COSIGN.version.removeprefix("v"),
        "sigstore-python": clients.python.version,
        "sigstore-js: `@sigstore/verify`": clients.js.version("verify"),
        "sigstore-js: `@sigstore/sign`": clients.js.version("sign"),
        **{services[s.name]: s.version.removeprefix("v") for s in SERVICES},
    }


def page_with(text: str, matrix: Matrix, versions: Mapping[str, str]) -> str:
    """Return the page with the measured part replaced."""
    measured = "\n\n".join(
        (
            _table(("client or service", "version"), versions.items()),
            "What `provenance` signs:",
            _ours(matrix),
            "What other clients sign, and `provenance verify-model` and `verify-blob` read:",
            _theirs(matrix),
        )
    )
    filled, count = _MEASURED.subn(lambda m: f"{m[1]}{measured}\n{m[2]}", text)
    assert count == 1, f"{PAGE.name} has no place for what was measured"
    return filled


def _ours(matrix: Matrix) -> str:
    clients = list(dict.fromkeys(client for _, _, client in matrix.ours))
    rows = dict.fromkeys((document, how) for document, how, _ in matrix.ours)
    ordered = sorted(rows, key=lambda row: (list(Document).index(row[0]), row[1]))
    return _table(
        ("document", "signed with", *(f"{c}" for c in clients)),
        ((d.value, h, *(matrix.ours[d, h, c].value for c in clients)) for d, h in ordered),
    )


def _theirs(matrix: Matrix) -> str:
    rows = dict.fromkeys((client, how) for client, how, _ in matrix.theirs)
    return _table(
        ("signed by", "with", *(document.value for document in Document)),
        (
            (client, how, *(matrix.theirs[client, how, d].value for d in Document))
            for client, how in sorted(rows)
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Measure, and write the page."""
    peers = prepare()
    with tempfile.TemporaryDirectory(prefix="interop-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        js = SigstoreJs(peers.node, peers.node_modules)
        clients = Clients(Cosign(peers.cosign, folder / "home"), SigstorePython(), js)
        model = export(folder / "model")
        with running(Services.of(peers), folder / "instance") as instance:
            by_key = make_release(folder / "key", model)
            key = Key(by_key.root / "release.key", by_key.public_key)
            releases: dict[Credential, Released] = {
                key: by_key,
                Identity(instance): make_keyless_release(folder / "keyless", instance, model),
            }
            (folder / "matrix").mkdir()
            matrix = measure(clients, releases, folder / "matrix")
    text = page_with(PAGE.read_text("utf-8"), matrix, versions_of(peers, clients))
    PAGE.write_text(text, "utf-8")
    return 1 if Answer.REFUSED in matrix.theirs.values() else 0


if __name__ == "__main__":
    sys.exit(main())
