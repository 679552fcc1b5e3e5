import struct
import types

import pytest

from mattingjax.inference.video.colours.high_dynamic_range import Gamut
from mattingjax.inference.video.colours.tags import FULL, LIMITED, guess_matrix, read_tags

av = pytest.importorskip('av')


def described(side_data=None, **properties):
    """What `read_tags` looks at: a frame in PQ and BT.2020 with side data."""
    frame = av.VideoFrame(64, 48, 'yuv420p10le')
    given = {'colorspace': 9, 'color_range': 1, 'color_trc': 16, 'color_primaries': 9}
    return types.SimpleNamespace(
        format=frame.format, height=48, width=64, side_data=side_data or {}, **given | properties
    )


def display(peak, has_luminance=1):
    """FFmpeg's AVMasteringDisplayMetadata, with a luminance in ten-thousandths of cd/m²."""
    rationals = [1, 2] * 8 + [50, 10000] + [peak * 10000, 10000]
    return struct.pack('=20i2i', *rationals, 1, has_luminance)


@pytest.mark.parametrize(
    ('side_data', 'peak'),
    [
        ({}, 1000),
        ({'MASTERING_DISPLAY_METADATA': display(4000)}, 4000),
        ({'MASTERING_DISPLAY_METADATA': display(4000, has_luminance=0)}, 1000),
        ({'CONTENT_LIGHT_LEVEL': struct.pack('=II', 1600, 200)}, 1600),
        (
            {
                'CONTENT_LIGHT_LEVEL': struct.pack('=II', 0, 0),
                'MASTERING_DISPLAY_METADATA': display(600),
            },
            600,
        ),
        ({'CONTENT_LIGHT_LEVEL': struct.pack('=II', 90, 20)}, 203),
        ({'CONTENT_LIGHT_LEVEL': struct.pack('=II', 65535, 20)}, 10000),
    ],
)
def test_peak(side_data, peak):
    assert read_tags(described(side_data)).gamut == Gamut('PQ', 'BT.2020', peak)


def test_peak_of_hlg_is_that_of_its_display():
    frame = described({'CONTENT_LIGHT_LEVEL': struct.pack('=II', 1600, 200)}, color_trc=18)
    assert read_tags(frame).gamut == Gamut('HLG', 'BT.2020', 1000)


@pytest.mark.parametrize('transfer', [0, 1, 2, 4, 5, 6, 13])
@pytest.mark.parametrize('primaries', [0, 1, 2, 5, 6, 22])
def test_what_counts_as_srgb(transfer, primaries):
    tags = read_tags(described(color_trc=transfer, color_primaries=primaries))
    assert tags.gamut is None


@pytest.mark.parametrize(
    ('size', 'matrix'),
    [((719, 1279), 6), ((720, 1), 1), ((1, 1280), 1), ((576, 720), 6), ((2160, 3840), 1)],
)
def test_guessed_matrix(size, matrix):
    assert guess_matrix(*size) == matrix


@pytest.mark.parametrize(
    ('pixel_format', 'said', 'meant'),
    [
        ('yuv420p', 0, LIMITED),
        ('yuv420p', FULL, FULL),
        ('yuvj420p', 0, FULL),
        ('yuvj420p', LIMITED, FULL),
        ('gray', 0, FULL),
        ('gray', LIMITED, LIMITED),
        ('rgb24', LIMITED, FULL),
    ],
)
def test_range(pixel_format, said, meant):
    frame = av.VideoFrame(64, 48, pixel_format)
    frame.color_range = said
    assert read_tags(frame).range == meant
