# SPDX-License-Identifier: Apache-2.0
"""SID408, SID409: the fields that a sidecar repeats from its row, and digests of other files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from provenance.artifacts import spdx
from provenance.artifacts.digest import is_sha256, sha256_of
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.forms import FLAG, OBJECT, STRING
from provenance.artifacts.repository import file_url
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence import expected_statements
from provenance.evidence.rows import FileEvidence, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import differing, short, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.forms import Forms, Place
from provenance.gate.rules.lost_rows import is_renamed
from provenance.gate.rules.registry import is_malformed
from provenance.gate.rules.sidecars.current import ClaimRule
from provenance.registry.rows import INT8_MODES, is_blank


class SidecarIdentity(ClaimRule):
    """The sidecar and the row disagree about the model.

    ## What it does
    Compares the fields that the sidecar repeats from the row: `id`, `kind`, `onnx`, `license`,
    `license_url`, `smoke`, `quant_mode`, `quant_accuracy_budget_plcc`, `quant_calibration_set` and
    `sigstore_bundle`. The sidecar need not repeat them, and `name`, `notes` and `description` may
    differ. The sidecar of an int8 variant may add `_int8`, `-int8` or `.int8` to the id. For `onnx`
    only the file name is compared, for `license_url` the file but not its revision.
    `training.smoke` must not be true unless the row says `"smoke": true`.

    ## Why it matters
    Some consumers read the row, others the sidecar. If the two differ, a scorer may use the model
    as `nr` while a tool that reads sidecars uses it as a shot detector, or one of the two shows the
    license of another model.

    ## Example
    `transnet_v2.json` has `"kind": "shot_detector"`, the row has `"kind": "nr"`.

    ## How to fix
    Decide which of the two is right, and write it in both.
    """

    code = "SID408"
    slug = "sidecar-identity"
    looks_around = True
    deferrable = True
    forms: ClassVar[Forms] = {("quant_mode",): STRING, ("training", "smoke"): FLAG}

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        for field, agrees in _REPEATED.items():
            claim = sidecar.value.get(field)
            if claim is None:
                continue
            own = row.entry.fields.get(field, _DEFAULTS.get(field))
            if own is None or is_blank(own) or agrees(claim, own, row, model):
                continue
            if is_malformed(field, own) or (field == "id" and _is_reported(case, row, claim)):
                continue  # REG101 and LIC2xx report what is wrong with the row
            here, there = differing(claim, own)
            called = row.called(field)
            default = "" if field in row.entry.fields else " by default"
            in_row = f"`{called}` of the row is {there}{default}"
            if field == "smoke" and field not in row.entry.fields:
                in_row = f"the row has no `{called}`"
            yield self.at(
                sidecar,
                (field,),
                f"`{field}` is {here}, but {in_row}",
                row.worded(_TRAIN) if field == "smoke" and claim is True else _DECIDE,
                row=row.label,
            )
        if smoke_claim(sidecar) == ("training", "smoke") and not row.entry.smoke:
            says = f"`training.smoke` is true, but {row.entry.classification.said}"
            yield self.at(sidecar, ("training", "smoke"), says, row.worded(_TRAIN), row=row.label)


class SidecarDigest(ClaimRule):
    """The sidecar has a wrong digest of the int8 variant, the external data or the corpus.

    ## What it does
    Compares `int8_sha256` of the sidecar with the int8 variant, and each entry of
    `external_data_sha256`, an object by file name, with that file. `sha256` is left to SID402 and
    SID404. If row and sidecar agree on another digest, the file was replaced, and ART302 reports
    it. The corpus digest, `corpus_sha256` or `corpus.sha256`, must be a SHA-256 digest; for seeds
    SID407 reports that.

    ## Why it matters
    The sidecar was exported with another int8 file. What it records about the quantization, such
    as the measured loss, does not describe the file that the runtime opens.

    ## Example
    The sidecar has `"int8_sha256": "e5ba2086…"`, but the digest of `nr_metric_v1.int8.onnx` is
    `1cff6fe0…`.

    ## How to fix
    Quantize again and export the sidecar with it, or put the file back.
    """

    code = "SID409"
    slug = "sidecar-digest"
    forms: ClassVar[Forms] = {("int8_sha256",): STRING, ("external_data_sha256",): OBJECT}

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        for member, written, file, in_row in self._claims(row, model, sidecar):
            claim = sha256_of(written) or written
            name = ".".join(map(str, member))[:100]
            digest = short(claim) if is_sha256(claim) else shown(claim)
            if file is None:
                message = f"`{name}` is {digest}, but {model.name} has no such file"
            elif file.sha256 in (None, claim) or (is_sha256(claim) and claim == sha256_of(in_row)):
                continue
            else:
                actual = short(file.sha256)
                message = f"`{name}` is {digest}, but the digest of {file.path} is {actual}"
            yield self.at(
                sidecar,
                member,
                message,
                "Export the sidecar with these files, or put the files back that it describes.",
                row=row.label,
            )
        if not expected_statements.attestable(row):
            for where in (("corpus_sha256",), ("corpus", "sha256")):
                claim = sidecar.get(*where)
                if claim is not None and sha256_of(claim) is None:
                    message = f"`{'.'.join(where)}` is {shown(claim)}, not a SHA-256 digest"
                    yield self.at(sidecar, where, message, _CORPUS, row=row.label)

    @staticmethod
    def _claims(
        row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[tuple[JsonPath, Any, FileEvidence | None, Any]]:
        """Yield each digest: its path, its value, its file, and the digest that the row has."""
        quantized = sidecar.text_at("int8_sha256")
        if quantized:
            yield ("int8_sha256",), quantized, row.variant, row.entry.fields.get("int8_sha256")
        external = sidecar.value.get("external_data_sha256")
        files = {f.name.rpartition("/")[2]: f for f in model.external}
        if isinstance(external, dict) and model.facts is not None:
            for name, claim in external.items():
                file = files.get(name.rpartition("/")[2])
                in_row = row.entry.external_data_sha256.get(file.name) if file else None
                yield ("external_data_sha256", name), claim, file, in_row


_CORPUS: Final = "Write the digest as 64 lower-case hex digits, or leave it out if it is unknown."
_DECIDE: Final = "Decide which is right, and write it in both."
_TRAIN: Final = 'Train the model and export its sidecar; until then the row is "smoke": true.'


def smoke_claim(sidecar: Sidecar) -> Place | None:
    """Return the field in which a sidecar declares its weights a placeholder, or None."""
    for where in (("smoke",), ("training", "smoke")):
        if sidecar.get(*where) is True:
            return where
    return None


def _is_reported(case: Case, row: RowEvidence, id: object) -> bool:
    """Return whether another rule reports the sidecar's id.

    ENS501 does if the row's ensemble has the id too, and BAS801 if it is the row's former id.
    """
    if isinstance(id, str) and is_renamed(case, row.entry, id):
        return True
    if row.manifest is None or not case.evidence.whole or not isinstance(id, str):
        return False
    return (row.entry.onnx, id) in row.manifest.names


_Agrees = Callable[[Any, Any, RowEvidence, ModelEvidence], bool]


def _same(claim: Any, own: Any, _row: RowEvidence, _model: ModelEvidence) -> bool:
    """Return whether two JSON values are equal: 1 equals 1.0, but not true."""
    return isinstance(claim, bool) == isinstance(own, bool) and bool(claim == own)


def _id(claim: Any, own: Any, row: RowEvidence, model: ModelEvidence) -> bool:
    variants = (f"{own}{suffix}" for suffix in ("_int8", "-int8", ".int8"))
    return claim == own or (model is row.int8 and claim in variants)


def _file_name(claim: Any, _own: Any, _row: RowEvidence, model: ModelEvidence) -> bool:
    return isinstance(claim, str) and claim.rpartition("/")[2] == model.name.rpartition("/")[2]


def _license(claim: Any, own: Any, _row: RowEvidence, _model: ModelEvidence) -> bool:
    if not isinstance(claim, str) or not isinstance(own, str):
        return bool(claim == own)
    offered = spdx.alternatives(claim)
    return claim == own or (offered is not None and offered == spdx.alternatives(own))


def _url(claim: Any, own: Any, _row: RowEvidence, _model: ModelEvidence) -> bool:
    if claim == own or not isinstance(claim, str) or not isinstance(own, str):
        return bool(claim == own)
    here, there = file_url(claim), file_url(own)
    if here is None or there is None:
        return False
    return (here.repository, here.path) == (there.repository, there.path)


def _mode(claim: Any, own: Any, _row: RowEvidence, _model: ModelEvidence) -> bool:
    # Any other word, such as "int8", belongs to another vocabulary and cannot be compared.
    return claim == own or claim not in ("fp32", *INT8_MODES)


_REPEATED: Final[Mapping[str, _Agrees]] = {
    "id": _id,
    "kind": _same,
    "onnx": _file_name,
    "license": _license,
    "license_url": _url,
    "smoke": _same,
    "quant_mode": _mode,
    "quant_accuracy_budget_plcc": _same,
    "quant_calibration_set": _same,
    "sigstore_bundle": _same,
}
"""The fields that a sidecar may repeat from its row, each with the function that compares them."""

_DEFAULTS: Final[Mapping[str, Any]] = {"smoke": False, "quant_mode": "fp32"}
"""The values of fields that a row leaves out."""
