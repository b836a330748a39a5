# SPDX-License-Identifier: Apache-2.0
"""References inside of a schema. None of them leads out of the document."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from provenance.artifacts.documents.schema_work import Work


class UnresolvedError(Exception):
    """A reference leads to nothing in this document. The message says why."""


class References(Work):
    """The schemas of a document, by the references that lead to them."""

    def __init__(self, schema: Any, draft: str, steps: int) -> None:
        super().__init__(steps)
        self.root = schema
        self.draft = draft
        self._targets: dict[str, tuple[Any, str]] = {}
        self._anchors: dict[str, tuple[Any, str]] | None = None

    def resolve(self, ref: Any) -> tuple[Any, str]:
        """The schema that a reference leads to, and where it is. Raises UnresolvedError."""
        if not isinstance(ref, str):
            raise UnresolvedError("not a reference")
        known = self._targets.get(ref)
        if known is None:
            known = self._targets[ref] = self._resolve(ref)
        return known

    def _resolve(self, ref: str) -> tuple[Any, str]:
        document, _, fragment = ref.partition("#")
        own = self.root.get("$id", self.root.get("id")) if isinstance(self.root, dict) else None
        if document and document != str(own).partition("#")[0]:
            raise UnresolvedError("it leads to another document")
        anchors = self._known_anchors()
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            if fragment not in anchors:
                raise UnresolvedError("it leads to nothing")
            return anchors[fragment]
        found = self.root
        for step in fragment.split("/")[1:]:
            self.spend()
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key[:9]) < len(found):
                found = found[int(key[:9])]
            else:
                raise UnresolvedError("it leads to nothing")
        return found, f"#{fragment}"

    def _known_anchors(self) -> dict[str, tuple[Any, str]]:
        """The schemas that have names. Raises UnresolvedError if a part has a base of its own."""
        if self._anchors is None:
            self._anchors = {}
            left: list[tuple[Any, str]] = [(self.root, "#")]
            while left:
                at, where = left.pop()
                self.spend()
                if isinstance(at, dict):
                    self._name(at, where)
                    left += [
                        (v, f"{where}/{k}") for k, v in at.items() if k not in ("enum", "const")
                    ]
                elif isinstance(at, list):
                    left += [(v, f"{where}/{i}") for i, v in enumerate(at)]
        return self._anchors

    def _name(self, at: dict[str, Any], where: str) -> None:
        assert self._anchors is not None
        anchor = at.get("$anchor")
        if isinstance(anchor, str):
            self._anchors[anchor] = at, where
        own = at.get("id" if self.draft == "draft-04" else "$id")
        if isinstance(own, str) and at is not self.root:
            if own.startswith("#"):
                self._anchors[own[1:]] = at, where
            else:
                self.unknown(f"{where} is a document of its own (`$id`)")
