"""JSON of any content: what was written is read, and what is nested too deeply is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattingjax.config.schema import parse_json
from mattingjax.errors import MAX_LINE, ConfigError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_was_written_is_read(value, has_mark):
    text = json.dumps(value)
    assert parse_json(text) == value
    assert parse_json(text.encode('utf-8-sig' if has_mark else 'utf-8')) == value


@given(st.text() | st.binary())
def test_anything_else_is_refused_in_one_line(text):
    error = None
    try:
        parse_json(text)
    except ConfigError as refusal:
        error = str(refusal)
    assert error is None or (len(error) <= MAX_LINE and error.isprintable())


@pytest.mark.parametrize(('opening', 'closing'), [('[', ']'), ('{"a":', '}')])
@pytest.mark.parametrize('depth', [65, 1_000, 100_000])
def test_what_is_nested_too_deeply(opening, closing, depth):
    with pytest.raises(ConfigError, match='nested at most 64 deep'):
        parse_json(opening * depth + '1' + closing * depth)
    parse_json(opening * 63 + '1' + closing * 63)
