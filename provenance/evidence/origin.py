# SPDX-License-Identifier: Apache-2.0
"""The origin of an imported model: weights from elsewhere, declared in the sidecar.

    "origin": {"source": "https://github.com/m-tassano/fastdvdnet", "license": "MIT",
               "revision": "c8fdf618…"}

An imported model was not trained in this repository, so no gate is expected. The declaration must
not hide a gate: together with a record of training it is a contradiction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.forms import OBJECT, Form
from provenance.artifacts.sidecar import Sidecar
from provenance.artifacts.spdx import NotAnExpressionError, unknown_ids
from provenance.evidence.rows import RowEvidence
from provenance.registry.rows import is_blank

Place = tuple[str, ...]

ORIGIN: Final = "origin"
"""The member of a sidecar that declares an imported model."""

MAX_TEXT: Final = 2048
"""Maximum length of each string of an origin, in characters."""

REQUIRED: Final = ("source", "license")
OPTIONAL: Final = ("license_url", "revision", "sha256")
"""The optional members of an origin; `sha256` is the digest of the upstream file."""

_TRAINED_HERE: Final = (
    "seed",
    "seeds",
    "epochs",
    "ensemble_id",
    "training",
    "training_recipe",
    "gate",
    "gate_passed",
    "verdict",
    "corpus",
    "corpus_sha256",
    "loso_folds",
    "loso_mean_plcc",
    "ship_gate_mean_plcc",
)
"""The members of a sidecar that record a training or an evaluation in this repository."""

_OF_A_GATE: Final = ("gate", "loso_", "per_seed", "ship_gate", "verdict")
"""Prefixes of members that record a gate, at any depth. An `origin` must not hide one."""


def declared(row: RowEvidence) -> dict[str, Any] | None:
    """Return the origin of a row's model as it is signed, or None.

    It only counts if it is valid, the sidecar describes the bytes of the model, and nothing records
    a training of the model in this repository.
    """
    sidecar = own_sidecar(row)
    return stated(row, sidecar) if sidecar is not None else None


def stated(row: RowEvidence, sidecar: Sidecar) -> dict[str, Any] | None:
    """Return the origin in a sidecar of the row, or None, whatever bytes the sidecar describes."""
    value = sidecar.get(ORIGIN)
    if not isinstance(value, dict) or fault(row, sidecar) is not None:
        return None
    return {key: value[key] for key in (*REQUIRED, *OPTIONAL) if key in value}


def own_sidecar(row: RowEvidence) -> Sidecar | None:
    """Return the sidecar of a row if it describes the bytes of the model, or None."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    sha256 = row.onnx.sha256 if row.onnx else None
    return sidecar if sidecar and sha256 and sidecar.claimed_sha256 == sha256 else None


def fault(row: RowEvidence, sidecar: Sidecar) -> tuple[Place, str] | None:
    """Return what is wrong with the origin in a sidecar of the row, and where, or None."""
    if ORIGIN not in sidecar.value:
        return None
    value = sidecar.value[ORIGIN]
    if not OBJECT.has(value):
        return (ORIGIN,), OBJECT.refused(ORIGIN, value)
    return _malformed(value) or _trained_here(row, sidecar)


def _malformed(value: Mapping[str, Any]) -> tuple[Place, str] | None:
    for key, form in _FORMS.items():
        name = f"{ORIGIN}.{key}"
        if key not in value:
            if key in REQUIRED:
                return (ORIGIN,), form.missing(f"`{name}`")
        elif not form.has(value[key]):
            return (ORIGIN, key), form.refused(name, value[key])
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not is_blank(value) and len(value) <= MAX_TEXT


def _is_expression(value: object) -> bool:
    try:
        return isinstance(value, str) and _is_text(value) and unknown_ids(value) is not None
    except NotAnExpressionError:
        return False


_TEXT: Final = Form[str](f"a non-empty string of at most {MAX_TEXT:,} characters", _is_text)
_FORMS: Final[Mapping[str, Form[str]]] = {
    **dict.fromkeys((*REQUIRED, *OPTIONAL), _TEXT),
    "license": Form("an SPDX license expression", _is_expression),
    "sha256": Form("a SHA-256 digest", is_sha256),
}


def _trained_here(row: RowEvidence, sidecar: Sidecar) -> tuple[Place, str] | None:
    names = {key.casefold(): key for key, value in sidecar.value.items() if value is not None}
    records = [names[key] for key in _TRAINED_HERE if key in names]
    if not records:
        records = _of_a_gate(sidecar)
    if records:
        what = f"the sidecar declares an `{ORIGIN}`, but records a training in this repository: "
        return (records[0],), what + ", ".join(f"`{key}`" for key in records)
    if row.manifest is not None:
        what = f"the sidecar declares an `{ORIGIN}`, but {row.manifest.path} lists the model as a "
        return (ORIGIN,), f"{what}seed of its ensemble"
    return None


def _of_a_gate(sidecar: Sidecar) -> list[str]:
    """Return the members of a sidecar that contain a record of a gate, at any depth."""
    found: dict[str, None] = {}
    below: list[tuple[str, object]] = [("", sidecar.value)]
    while below:
        member, value = below.pop()
        if isinstance(value, list):
            below.extend((member, entry) for entry in value)
        for key, entry in value.items() if isinstance(value, dict) else ():
            if key != ORIGIN and entry is not None:
                if key.casefold().startswith(_OF_A_GATE):
                    found[member or key] = None
                below.append((member or key, entry))
    return sorted(found)
