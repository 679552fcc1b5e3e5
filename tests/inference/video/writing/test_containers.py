from fractions import Fraction

import pytest

from mattingjax.errors import MattingError, OutputError
from mattingjax.inference.video.writing.containers import (
    CONTAINERS,
    KINDS,
    choose_coding,
    for_pictures,
)

SQUARE = Fraction(1)


def codec(suffix, kind, **options):
    try:
        coding = choose_coding(f'a{suffix}', suffix, kind, **options)
    except OutputError:
        return None
    return coding.encoder, coding.pixels


def test_which_suffix_and_kind_has_which_codec():
    h264, vp9 = ('libx264', 'yuv420p'), ('libvpx-vp9', 'yuv420p')
    transparent = ('libvpx-vp9', 'yuva420p')
    assert {kind: [codec(suffix, kind) for suffix in CONTAINERS] for kind in KINDS} == {
        'alpha': [h264, h264, h264, vp9],
        'cutout': [None, ('prores_aw', 'yuva444p10le'), transparent, transparent],
        'composite': [h264, h264, h264, vp9],
    }
    assert [[codec(suffix, kind, lossless=True) for suffix in CONTAINERS] for kind in KINDS] == [
        [None, None, ('ffv1', pixels), None] for pixels in ('gray', 'bgra', 'bgr0')
    ]


def test_messages_say_what_is_possible():
    with pytest.raises(OutputError) as caught:
        choose_coding('out.mp4', '.mp4', 'cutout')
    assert str(caught.value) == (
        'out.mp4: .mp4 cannot hold the transparency of a cut-out; expected .webm, .mov, .mkv or a '
        'folder (PNG pictures), or the kind alpha or composite'
    )
    with pytest.raises(OutputError) as caught:
        choose_coding('out.gif', '.gif', 'alpha')
    assert str(caught.value) == (
        'out.gif: expected .mp4, .mov, .mkv, .webm or a folder (PNG pictures), found .gif'
    )
    with pytest.raises(MattingError, match=r"kind: expected one of .* got 'panel'"):
        choose_coding('out.mp4', '.mp4', 'panel')


def test_odd_sizes_and_pixels():
    coding = choose_coding('a.mp4', '.mp4', 'alpha')
    assert for_pictures(coding, 'alpha', (48, 64), SQUARE) == (coding, [])
    odd, notes = for_pictures(coding, 'alpha', (48, 63), SQUARE)
    assert (odd.pixels, len(notes)) == ('gray', 1)
    odd, notes = for_pictures(coding, 'composite', (47, 64), SQUARE)
    assert (odd.pixels, len(notes)) == ('yuv444p', 1)
    prores = choose_coding('a.mov', '.mov', 'cutout')
    assert for_pictures(prores, 'cutout', (48, 63), Fraction(4, 3))[0].encoder == 'prores_ks'
    vp9 = choose_coding('a.webm', '.webm', 'alpha')
    assert for_pictures(vp9, 'alpha', (47, 63), SQUARE) == (vp9, [])
    assert len(for_pictures(vp9, 'alpha', (48, 64), Fraction(4, 3))[1]) == 1
