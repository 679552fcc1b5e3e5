"""Against the values that the standards and others print, not against the formulas again."""

import numpy as np
import pytest

from mattingjax.inference.video.colours.high_dynamic_range import Gamut, light_to_pq, to_srgb

WHITE_IN_PQ, WHITE_IN_HLG = 0.58, 0.75  # 203 cd/m² (BT.2408, table 1)


@pytest.mark.parametrize(
    ('light', 'code'),
    [(0, 0.0), (100, 0.508), (203, 0.581), (1000, 0.752), (4000, 0.903), (10000, 1.0)],
)
def test_pq(light, code):
    """The codes of BT.2408 and BT.2390, in which 1000 cd/m² is 75 % and 100 cd/m² is 51 %."""
    assert light_to_pq(np.array(light)) == pytest.approx(code, abs=6e-4)


def grey(code, gamut):
    level = to_srgb(np.full((1, 3), code), gamut)[0]
    assert np.ptp(level) < 1e-9
    return level[0]


def test_dark_and_middle_tones_of_pq_keep_their_luminance():
    """Below the curve's knee light is divided by 203 cd/m² alone."""
    for light in (0.5, 5.0, 26.0, 80.0):
        code = light_to_pq(np.array(light))
        level = grey(code, Gamut('PQ', 'BT.2020'))
        linear = ((level + 0.055) / 1.055) ** 2.4 if level > 0.04045 else level / 12.92
        assert linear == pytest.approx(light / 203, rel=1e-3)


def test_highlights_are_rolled_off():
    peak = Gamut('PQ', 'BT.2020', 1000.0)
    assert grey(light_to_pq(np.array(1000.0)), peak) == pytest.approx(1, abs=1e-6)
    assert grey(1.0, peak) == pytest.approx(1, abs=1e-6)
    assert 0.8 < grey(WHITE_IN_PQ, peak) < 0.92
    assert grey(WHITE_IN_PQ, Gamut('PQ', 'BT.2020', 203.0)) == pytest.approx(1, abs=0.005)
    levels = [grey(code, peak) for code in np.linspace(0, 1, 200)]
    assert (np.diff(levels) >= -1e-12).all()


def test_hlg_of_1000_looks_like_pq():
    """The same light in both: white, skin and a dark tone of BT.2408, tables 1 and 2."""
    for pq, hlg in ((WHITE_IN_PQ, WHITE_IN_HLG), (0.383, 0.38)):
        same = grey(pq, Gamut('PQ', 'BT.2020')) - grey(hlg, Gamut('HLG', 'BT.2020'))
        assert abs(same) < 0.015
    assert grey(1.0, Gamut('HLG', 'BT.2020')) == pytest.approx(1, abs=1e-4)
    assert grey(0.0, Gamut('HLG', 'BT.2020')) == 0


def test_srgb_red_in_wide_gamuts():
    """sRGB's pure red is (0.9176, 0.2003, 0.1386) in Display P3, as CSS Color 4 prints it."""
    red = to_srgb(np.array([[0.9175, 0.2003, 0.1386]]), Gamut('SDR', 'P3'))[0]
    np.testing.assert_allclose(red, [1, 0, 0], atol=0.01)
    # BT.2087: the linear red of BT.709 is (0.6274, 0.0691, 0.0164) in BT.2020.
    linear = np.array([0.6274, 0.0691, 0.0164])
    codes = 1.055 * linear ** (1 / 2.4) - 0.055
    red = to_srgb(codes[None], Gamut('SDR', 'BT.2020'))[0]
    np.testing.assert_allclose(red, [1, 0, 0], atol=0.02)


def test_colours_inside_of_srgb_are_not_changed_by_the_gamut():
    inside = np.random.default_rng(0).random((500, 3))
    linear = np.where(inside <= 0.04045, inside / 12.92, ((inside + 0.055) / 1.055) ** 2.4)
    to_bt2020 = np.array(  # BT.2087, section 2
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    wide = linear @ to_bt2020.T
    codes = np.where(wide <= 0.0031308, 12.92 * wide, 1.055 * wide ** (1 / 2.4) - 0.055)
    got = to_srgb(codes, Gamut('SDR', 'BT.2020'))
    assert np.abs(got - inside).max() < 0.02
    assert np.abs(got - inside).mean() < 1e-3


@pytest.mark.parametrize('gamut', [Gamut('PQ', 'BT.2020'), Gamut('HLG', 'P3'), Gamut('SDR', 'P3')])
def test_every_colour_becomes_one_of_srgb(gamut):
    axis = np.linspace(0, 1, 9)
    codes = np.stack(np.meshgrid(axis, axis, axis), -1)
    got = to_srgb(codes, gamut)
    assert got.shape == codes.shape
    assert np.isfinite(got).all()
    assert (got.min(), got.max()) == (pytest.approx(0, abs=1e-9), pytest.approx(1, abs=1e-6))


def test_hue_of_bright_colours_stays():
    """Orange fire of 800 cd/m² stays orange: red, green and blue keep their order and ratio."""
    light = np.array([800.0, 300.0, 60.0])
    got = to_srgb(light_to_pq(light)[None], Gamut('PQ', 'BT.709'))[0]
    linear = ((got + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(linear / linear[0], light / light[0], rtol=1e-3)
