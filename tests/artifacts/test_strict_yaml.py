# SPDX-License-Identifier: Apache-2.0
"""YAML of more structure than a workflow has is refused while it is parsed."""

from __future__ import annotations

import pytest

from provenance.artifacts import limits
from provenance.artifacts.documents import strict_yaml
from provenance.artifacts.documents.strict_yaml import YamlError

LEVELS = limits.NESTING
MANY = limits.YAML_EVENTS
HOSTILE = {
    "many items": ("- a\n" * MANY, "more than 20,000 values"),
    "many items in a line": (f"[{'a,' * MANY}]", "more than 20,000 values"),
    "many keys": ("".join(f"a{n}: 1\n" for n in range(MANY)), "more than 20,000 values"),
    "many anchors": ("".join(f"- &a{n} x\n" for n in range(MANY)), "more than 20,000 values"),
    "many aliases": ("- &a x\n" + "- *a\n" * 101, "more than 100 aliases"),
    "nested lists in a line": ("[" * (LEVELS + 1), "nested too deeply"),
    "nested lists": ("- " * (LEVELS + 1) + "a", "nested too deeply"),
    "nested mappings": ("{a: " * (LEVELS + 1), "nested too deeply"),
    "text that is not YAML": ("a: [\n", r"not YAML \(line 2\)"),
    "two documents": ("--- a\n--- b\n", "not YAML"),
    "a tag": ("a: !!python/object/apply:os.system [ls]\n- b", "not YAML"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(YamlError, match=message):
        strict_yaml.parse(text)


def test_a_workflow_is_read_as_strings_lists_and_mappings() -> None:
    found = strict_yaml.parse("on: [push]\na: &a {b: 1}\nc: *a\n<<: *a\n")
    assert found == {"on": ["push"], "a": {"b": "1"}, "c": {"b": "1"}, "<<": {"b": "1"}}


def test_lists_side_by_side_are_not_deep() -> None:
    assert len(strict_yaml.parse("- [[a]]\n" * 1000)) == 1000
