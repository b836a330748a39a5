# SPDX-License-Identifier: Apache-2.0
"""The configuration that `init` writes: every key with a line that says what it is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provenance.artifacts.documents.toml_text import quoted
from provenance.frozen import dataclass
from provenance.operations.adoption import recording
from provenance.operations.adoption.recording import Recorded
from provenance.operations.adoption.remote import Remote
from provenance.operations.adoption.shape import Shape
from provenance.operations.adoption.signers import Signer

_WIDTH = 100


@dataclass(frozen=True)
class Template:
    """What is written into a configuration. `table` is `tool.provenance` in pyproject.toml."""

    shape: Shape
    keys: Sequence[str]
    signers: Sequence[Signer]
    remote: Remote
    deferrals: Sequence[Recorded] = ()
    table: str = ""

    def text(self) -> str:
        """The configuration, ending in a newline."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        if self.table:
            yield f"[{self.table}]"
        yield "# The JSON file with a row for each model, relative to this file."
        yield f"registry = {quoted(self.shape.path)}"
        if self.remote.github is not None and self.remote.upstream is None:
            yield ""
            yield "# The repository that this is: license URLs that lead here are compared with it."
            yield f"repository = {quoted(self.remote.github)}"
        yield ""
        yield "# What `provenance check` compares the registry with: what was lost since is named."
        yield f"# baseline = {quoted(f'git:origin/{self.remote.default_branch}')}"
        yield from self._trusted_keys()
        yield from self._trusted_workflows()
        yield from self._deferrals()

    def _name(self, table: str) -> str:
        return f"{self.table}.{table}" if self.table else table

    def _trusted_keys(self) -> Iterator[str]:
        yield ""
        yield "# Whose signatures count: public keys. Make a pair with: provenance keygen release"
        for key in self.keys:
            yield f"[[{self._name('trust.key')}]]"
            yield f"path = {quoted(key)}"
        if not self.keys:
            yield f"# [[{self._name('trust.key')}]]"
            yield '# path = "release.pub"'

    def _trusted_workflows(self) -> Iterator[str]:
        """The workflows that sign, each once for every ref; as a comment where one is not sure."""
        if not self.signers:
            return
        yield ""
        yield "# Whose signatures count: workflows of yours that sign with their own identity."
        yield "# Keep those that release, and add `owner_id`, which outlives a name (docs: Trust)."
        for number, signer in enumerate(self.signers):
            if number:
                yield ""
            mark = "# " if signer.unsure else ""
            if signer.unsure:
                yield f"# Not in force: {signer.unsure}."
            yield f"{mark}[[{self._name('trust.github')}]]"
            yield f"{mark}repository = {quoted(signer.repository)}"
            tools = ", ".join(signer.workflow.tools)
            yield f"{mark}workflow = {quoted(signer.workflow.path)}  # {tools}"
            yield f"{mark}ref = {quoted(signer.ref)}"

    def _deferrals(self) -> Iterator[str]:
        yield ""
        if not self.deferrals:
            yield "# A known exception, with its reason. It fails as soon as its cause is gone."
            yield f"# [[{self._name('deferral')}]]"
            yield '# rule = "SID402"'
            yield '# rows = ["my_ensemble_seed*"]'
            yield '# reason = "why this is shipped all the same"'
            yield '# reference = "the decision: an ADR, an issue"'
            yield "# expires = 2026-12-31"
            return
        yield "# What was found when this was written. Write why each is shipped all the same, or"
        yield "# correct it and remove the table: a TODO fails until then (DEF906). `expires` can"
        yield "# give it a last day. A deferral fails as soon as its cause is gone."
        for number, deferral in enumerate(self.deferrals):
            if number:
                yield ""
            yield f"[[{self._name('deferral')}]]"
            yield f"rule = {quoted(deferral.rule)}  # {deferral.slug}"
            yield from _list("rows", deferral.rows)
            yield f"reason = {quoted(recording.REASON)}"
            yield f"reference = {quoted(recording.REFERENCE)}"


def _list(key: str, values: Sequence[str]) -> Iterator[str]:
    """A list of strings: on one line where it fits, else with a line for each."""
    line = f"{key} = [{', '.join(map(quoted, values))}]"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{key} = ["
    yield from (f"    {quoted(value)}," for value in values)
    yield "]"
