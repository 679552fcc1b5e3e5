"""How results are stored is told by their size."""

import numpy as np
import pytest

from exporters.bins.msame import format_values
from exporters.bins.outputs import Encoding, load_output
from mattingjax.errors import MattingError


def test_text_loses_nothing(tmp_path):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float16):
        values = rng.uniform(0, 1, (1, 9, 23, 1)).astype(dtype)
        values[0, 0, :3, 0] = [0, 1, 1e-7]
        (tmp_path / 'a.txt').write_text(format_values(values))
        alpha, encoding = load_output(tmp_path / 'a.txt', (9, 23))
        np.testing.assert_array_equal(alpha, values[0, ..., 0].astype(np.float32))
        assert encoding == Encoding(1, 'text')
    lines = (tmp_path / 'a.txt').read_text().splitlines()
    assert [len(line.split()) for line in lines] == [100, 100, 7]


@pytest.mark.parametrize(
    ('dtype', 'channels', 'given'),
    [
        ('float32', 1, {'channels': 1}),
        ('float32', 1, {'dtype': 'float32'}),
        ('float32', 2, {}),
        ('float16', 1, {}),
        ('float16', 2, {'channels': 2}),
        ('float16', 2, {'dtype': 'float16'}),
    ],
)
def test_encodings(tmp_path, dtype, channels, given):
    alpha = np.random.default_rng(0).uniform(0, 1, (12, 10)).astype(dtype)
    values = np.stack([1 - alpha, alpha][2 - channels :], axis=-1)
    path = tmp_path / 'a_output_0.bin'
    path.write_bytes(values.tobytes())
    found, encoding = load_output(path, (12, 10), **given)
    np.testing.assert_array_equal(found, alpha.astype(np.float32))
    assert encoding == Encoding(channels, dtype)
    path = tmp_path / 'a_output_0.txt'
    path.write_text(format_values(values))
    np.testing.assert_array_equal(load_output(path, (12, 10))[0], alpha.astype(np.float32))


@pytest.mark.parametrize(
    ('name', 'content', 'given', 'message'),
    [
        ('a.bin', bytes(480), {}, '480 bytes may be float32 of 1 channel or float16 of 2 channels'),
        ('a.bin', bytes(400), {}, r'expected 240 bytes \(float16 of 1 channel\) or .*, found 400'),
        ('a.bin', bytes(960), {'channels': 1}, r'240 .* or 480 bytes .*, found 960'),
        ('a.bin', b'\xff' * 480, {'channels': 1}, 'found nan to nan: damaged'),
        ('a.bin', b'\x7f' * 240, {}, 'not float16 of 1 channel'),
        ('a.bin', bytes(960), {}, 'two channels whose sum is 1'),
        ('a.txt', b'0 ' * 119, {}, r'120 values \(text of 1 channel\) or 240 .*, found 119'),
        ('a.txt', b'0 ' * 119 + b'0.1', {}, 'ends within a value'),
        ('a.txt', b'0 ' * 119 + b'O ', {}, "expected numbers, found 'O'"),
        ('a.txt', b'0 ' * 119 + b'0.1.1 ', {}, r'a.txt: expected .*numbers'),
        ('a.txt', b'1\t ' * 1000, {}, 'or 240 .*, found 1000'),
        ('a.txt', b' ' * (2 * 120 * 32 + 1), {}, 'expected at most 7680 bytes, found 7681'),
        ('a.txt', b' ' * (120 * 32 + 1), {'channels': 1}, 'expected at most 3840 bytes'),
        ('a.txt', b'', {}, 'found 0'),
    ],
)
def test_outputs_that_cannot_be_read(tmp_path, name, content, given, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MattingError, match=message):
        load_output(tmp_path / name, (12, 10), **given)
