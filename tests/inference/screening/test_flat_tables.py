"""Tables that lead out of their file, or say one thing so often that it fills the memory."""

import struct

import numpy as np
import pytest

from mattingjax.inference.screening.flat_tables import root_table

_NAME = b'TEST'


def flat(*fields, slots=None, end=None, after=b''):
    """A file of one table with a field of four bytes for each of `fields`.

    The table of slots begins at 8, the table behind it; `slots` and `end` are what they say
    instead of where the fields lie and how long the table is.
    """
    slots = slots or [4 + 4 * i for i in range(len(fields))]
    slots = slots + [0] * (len(slots) % 2)  # so that the table is aligned
    table = 8 + 4 + 2 * len(slots)
    end = 4 + 4 * len(fields) if end is None else end
    numbers = struct.pack(f'<{2 + len(slots)}H', 4 + 2 * len(slots), end, *slots)
    head = struct.pack('<I', table) + _NAME + numbers + struct.pack('<i', table - 8)
    return head + struct.pack(f'<{len(fields)}I', *fields) + after


def test_a_table_is_read():
    table = root_table(flat(5, 7), _NAME)
    assert [table.number(slot) for slot in range(3)] == [5, 7, 0]
    assert table.numbers(2, '<i4', 0).tolist() == []
    assert (table.text(2, 0), table.table(2), table.tables(2, 0)) == ('', None, [])


def test_an_array_is_a_view_of_at_most_so_many():
    content = flat(4, after=struct.pack('<I3i', 3, 1, 2, 3))
    numbers = root_table(content, _NAME).numbers(0, '<i4', 3)
    assert numbers.tolist() == [1, 2, 3]
    assert not numbers.flags.owndata
    with pytest.raises(ValueError, match='a list of 3, expected at most 2'):
        root_table(content, _NAME).numbers(0, '<i4', 2)


@pytest.mark.parametrize('slot', [2, 3, 8, 0xFFFF])
def test_fields_lie_in_their_table_whether_they_are_read_or_not(slot):
    with pytest.raises(ValueError, match='a field outside of its table'):
        root_table(flat(5, slots=[slot], after=bytes(64)), _NAME)


@pytest.mark.parametrize('end', [0, 3])
def test_a_table_holds_its_own_first_offset(end):
    with pytest.raises(ValueError, match='a table of a wrong size'):
        root_table(flat(end=end, after=bytes(64)), _NAME)


def test_a_table_lies_in_its_file():
    with pytest.raises(ValueError, match='an offset that leads out of the file'):
        root_table(flat(5, end=40), _NAME)


def test_a_table_has_as_many_slots_as_the_schema_may_need():
    root_table(flat(*range(64)), _NAME)
    with pytest.raises(ValueError, match='a table of a wrong size'):
        root_table(flat(*range(65)), _NAME)


def test_a_text_has_an_end_and_at_most_so_many_bytes():
    content = flat(4, after=struct.pack('<I', 3) + b'abc\0')
    assert root_table(content, _NAME).text(0, 3) == 'abc'
    with pytest.raises(ValueError, match='a list of 3, expected at most 2'):
        root_table(content, _NAME).text(0, 2)
    with pytest.raises(ValueError, match='a text without an end'):
        root_table(content[:-1] + b'd', _NAME).text(0, 3)


def test_numbers_of_a_table_may_be_read_for_ever():
    table = root_table(flat(5), _NAME)
    assert {table.number(0) for _ in range(1000)} == {5}


def test_what_is_read_again_and_again_is_refused():
    content = flat(4, after=struct.pack('<I', 4000) + bytes(4001))
    table = root_table(content, _NAME)
    for _ in range(4):
        assert np.size(table.numbers(0, 'u1', 4000)) == 4000
    with pytest.raises(ValueError, match='parts that lie on each other'):
        table.text(0, 4000)
