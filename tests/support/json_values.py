# SPDX-License-Identifier: Apache-2.0
"""Any JSON value, in any layout, for property tests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)  # no -0.0
    | text
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
layouts = st.sampled_from([None, 0, 2, "\t", " \r"])


def written(value: object, layout: Any, ascii_only: bool) -> str:
    """The value as JSON text in a layout, which is what `json.dumps` indents by."""
    return json.dumps(value, indent=layout, ensure_ascii=ascii_only)


def replaced_anywhere(value: Any, replacement: Any, data: st.DataObject) -> Any:
    """Replace one part of a JSON document, which `data` chooses, and return the document."""
    place = value
    while steps := list(place) if isinstance(place, dict) else list(range(len(place))):
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = replacement
            break
        place = place[step]
    return value
