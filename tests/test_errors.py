import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.bins.msame import run_bins
from exporters.bins.outputs import find_outputs
from mattingjax import import_weights, load_checkpoint
from mattingjax.errors import MAX_LINE, MattingError, missing_package, one_line, unwrapped
from mattingjax.images.compositing import Background
from mattingjax.inference.bulk.folder import Folder
from mattingjax.inference.sessions import create_session
from mattingjax.weights import find_artefact
from tests.privileges import obeying_permissions


@given(st.text(st.characters(), max_size=2000) | st.text('ab /\n', max_size=2000))
def test_any_text_becomes_one_printable_line(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= MAX_LINE
    assert one_line(line) == line
    if text.isprintable() and len(text) <= MAX_LINE:
        assert line == text


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('two\nlines', 'two\\nlines'),
        ('\x1b[31mred', '\\x1b[31mred'),
        ('\u202eright to left', '\\u202eright to left'),
        ('\udcff no text', '\\udcff no text'),
        ('größer als 4 × 4 …', 'größer als 4 × 4 …'),
    ],
)
def test_what_cannot_be_printed_is_escaped(text, line):
    assert one_line(text) == str(MattingError(text)) == line


def test_the_longest_words_are_cut_first():
    path = '/' + '/'.join(['folder'] * 50) + '/photo.png'
    line = one_line(f'{path}: expected one of a, b, c, got {"x" * 1000!r}')
    assert len(line) == MAX_LINE
    start, rest = line.split(': ')
    assert start.startswith('/folder/')
    assert start.endswith('/folder/photo.png')
    assert rest.startswith("expected one of a, b, c, got 'xxx")
    assert rest.endswith("xxx'")


def test_then_the_line_is():
    line = one_line('a name: expected ' + ', '.join(['none'] * 1000) + ', found this')
    assert len(line) == MAX_LINE
    assert line.startswith('a name: expected none')
    assert line.endswith('none, found this')


@pytest.mark.parametrize('part', ['a ', 'a', '\u202e', '\n', ' '])
def test_megabytes_are_cut_at_once(part):
    text = f'first {part * 5_000_000} last'
    start = time.monotonic()
    line = one_line(text)
    words = unwrapped(text)
    assert time.monotonic() - start < 1
    assert line.startswith('first ')
    assert line.endswith(' last')
    assert len(line) <= MAX_LINE
    assert words.startswith('first ')
    assert words.endswith(' last')
    assert len(words) <= 4 * MAX_LINE


def test_an_error_leaves_room_for_what_is_put_before_it():
    assert len(f'skipped: {MattingError("x" * 5000)}') == MAX_LINE


def test_missing_package_says_what_to_install():
    error = missing_package('reading ONNX', 'onnx', 'importers', 'convert it')
    assert str(error) == (
        "reading ONNX needs the package onnx: pip install 'mattingjax[importers]', or convert it"
    )
    assert error.name == 'onnx'


@pytest.mark.parametrize(
    'read',
    [
        load_checkpoint,
        import_weights,
        Background,
        create_session,
        find_outputs,
        lambda path: run_bins(find_artefact('mmnet_0.5'), path, path.parents[1] / 'out'),
        lambda path: Folder(path).check(),
    ],
)
def test_what_lies_where_nothing_may_be_read(tmp_path, read):
    folder = tmp_path / 'secret'
    folder.mkdir()
    (folder / 'here.onnx').touch()
    folder.chmod(0)
    with obeying_permissions(), pytest.raises(MattingError) as caught:
        read(folder / 'here.onnx' if read is not Background else str(folder / 'here.onnx'))
    folder.chmod(0o700)
    said = str(caught.value)
    assert 'secret/here.onnx: ' in said
    assert 'cannot be read (Permission denied)' in said
    assert not (tmp_path / 'out').exists()
