# SPDX-License-Identifier: Apache-2.0
"""The bytes of one file of any kind, judged by a bundle: what each Sigstore client concludes.

Of a model `judge.judge_file` concludes more: its name, its external data, its row.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Final

from provenance.attestations.statement import Statement
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.gate import foreign
from provenance.gate.capping import gather
from provenance.gate.finding import ModelFile, Report, RowResult, Verdict
from provenance.gate.judge import judged, signature_results, trust_result
from provenance.gate.rules import CATALOGUE, Case, Target
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

HELP: Final = "Do not use it. Fetch the file and its bundle again from where they come from."


def judge_artifact(
    evidence: Evidence,
    trust: Trust,
    path: str,
    today: datetime.date,
    predicate_types: Collection[str] | None = foreign.EXPECTED,
) -> Report:
    """Whether a signature that counts is over these bytes.

    It is where it is over the bytes themselves, or over a statement of one of the
    `predicate_types` (with None, of any) that has their digest among its subjects.
    """
    root = evidence.root.root
    nowhere = Config(root, path, path, TrustTable(), (), "", "", root)
    case = Case(evidence, trust, nowhere, today)
    (row,) = evidence.rows
    assert row.onnx is not None
    found = [
        f
        for rule in CATALOGUE
        if Target.BLOB in rule.applies
        for f in gather(judged(type(rule)(HELP), case))
    ]
    statement = case.signed_statement(row.bundle)
    notes: tuple[str, ...] = ()
    if statement is not None:
        refused = list(foreign.refusals(row, statement, predicate_types))
        found += refused
        if not refused:
            notes = (_said_of(row.onnx.sha256 or "", statement),)
    elif case.is_message_signature(row):
        notes = (f"the signature is over the bytes of {path} alone: it binds no name and no claim",)
    signature_set = case.row_signatures(row)
    result = RowResult(
        id=path,
        path=path,
        line=1,
        classification=None,
        license=None,
        verdict=Verdict.FAILED if found else Verdict.VERIFIED,
        model_files=(ModelFile(path, row.onnx.sha256, size=None),),
        signatures=signature_results(signature_set),
    )
    return Report(
        registry=path,
        rows=(result,),
        findings=tuple(found),
        trust=trust_result(trust),
        notes=notes,
    )


def _said_of(sha256: str, statement: Statement) -> str:
    subjects = len(statement.subjects) + len(statement.others)
    among = "" if subjects == 1 else f", as one of {subjects:,} subjects"
    kind = statement.predicate_type[:100]
    named = foreign.name_in(statement, sha256)
    return f"it is signed {named}{among}, in a statement of type {kind}"
