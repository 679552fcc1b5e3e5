"""From high dynamic range and wide gamut to sRGB: what the standards say, as a function of colours.

Values are those of ITU-R BT.2100 (PQ and HLG), BT.2408 (the luminance of white), BT.2390 (the curve
that brings highlights down) and the primaries of BT.709, BT.2020 and SMPTE RP 431-2.
"""

from __future__ import annotations

import dataclasses

import numpy as np

WHITE = 203.0  # cd/m² of diffuse white, which becomes sRGB's white (BT.2408)
USUAL_PEAK = 1000.0  # cd/m²: of HLG's nominal display, and of most films and phones in PQ
# PQ: m1, m2, c1, c2, c3 of BT.2100, table 4
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_PQ_PEAK = 10000.0  # cd/m² of the code 1
# HLG: a, b, c and the exponent of the system at a peak of 1000 cd/m² of BT.2100, table 5
_A = 0.17883277
_B, _C = 1 - 4 * _A, 0.5 - _A * np.log(4 * _A)
_GAMMA = 1.2
_D65 = (0.3127, 0.3290)
# x and y of red, green and blue. DCI's own white is taken to be D65, as a player would show it.
_PRIMARIES = {
    'BT.709': ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    'BT.2020': ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    'P3': ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


@dataclasses.dataclass(frozen=True)
class Gamut:
    """What the codes of a video mean.

    Attributes:
      transfer: 'PQ', 'HLG' or 'SDR', which is taken for that of sRGB.
      primaries: 'BT.709', 'BT.2020' or 'P3'.
      peak: Luminance of the brightest highlights in cd/m²; it counts for PQ and HLG.
    """

    transfer: str
    primaries: str
    peak: float = USUAL_PEAK


def to_srgb(codes: np.ndarray, gamut: Gamut) -> np.ndarray:
    """Brings colours to sRGB.

    Highlights are brought down to white by the curve of BT.2390 on the largest of red, green and
    blue, which keeps the hue. What lies outside of sRGB then moves towards the grey of its own
    luminance, until it is inside; what lies inside stays.

    Args:
      codes: float64 [..., 3], RGB with the video's transfer; white, or the brightest light, is 1.
      gamut: What they mean.

    Returns:
      float64 [..., 3], RGB in [0, 1].
    """
    weights = _to_xyz(gamut.primaries)[1]
    if gamut.transfer == 'SDR':
        linear = _srgb_to_linear(codes)
    else:
        light = _pq_to_light(codes) if gamut.transfer == 'PQ' else _hlg_to_light(codes, weights)
        linear = _tone_mapped(light, gamut.peak)
    matrix = np.linalg.inv(_to_xyz('BT.709')) @ _to_xyz(gamut.primaries)
    return _linear_to_srgb(_into_gamut(linear @ matrix.T))


def _pq_to_light(codes: np.ndarray) -> np.ndarray:
    """Luminance of each channel in cd/m² (BT.2100, the EOTF of PQ)."""
    power = np.maximum(codes, 0) ** (1 / _M2)
    return _PQ_PEAK * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def light_to_pq(light: np.ndarray) -> np.ndarray:
    """The code of PQ for a luminance in cd/m² (BT.2100, the inverse EOTF)."""
    power = (light / _PQ_PEAK) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _hlg_to_light(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Luminance of each channel in cd/m² on the nominal display (BT.2100, the EOTF of HLG)."""
    codes = np.maximum(codes, 0)
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - _C) / _A) + _B) / 12)
    luminance = np.maximum(scene @ weights, 1e-12)[..., None]
    return USUAL_PEAK * luminance ** (_GAMMA - 1) * scene


def _tone_mapped(light: np.ndarray, peak: float) -> np.ndarray:
    """Light in cd/m², [..., 3], with its highlights brought down to white, which becomes 1."""
    brightest = np.clip(light.max(-1, keepdims=True), 1e-6, None)
    return light * (_roll_off(np.minimum(brightest, peak), peak) / brightest / WHITE)


def _roll_off(light: np.ndarray, peak: float) -> np.ndarray:
    """BT.2390's curve, section 5.4.1: the same below its knee, `peak` becomes white; cd/m²."""
    if peak <= WHITE:
        return light
    codes_of_peak = light_to_pq(np.array(peak))
    target = light_to_pq(np.array(WHITE)) / codes_of_peak
    knee = 1.5 * target - 0.5
    codes = light_to_pq(light) / codes_of_peak
    t = (codes - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * target
    )
    return _pq_to_light(np.where(codes < knee, codes, spline) * codes_of_peak)


def _into_gamut(linear: np.ndarray) -> np.ndarray:
    grey = (linear @ _to_xyz('BT.709')[1])[..., None]
    distance = linear - grey
    room = np.where(distance > 0, np.maximum(1 - grey, 0), grey)
    excess = np.abs(distance) / np.maximum(room, 1e-12)
    return grey + distance / np.maximum(excess.max(-1, keepdims=True), 1)


def _srgb_to_linear(codes: np.ndarray) -> np.ndarray:
    codes = np.maximum(codes, 0)
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    linear = np.maximum(linear, 0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _to_xyz(primaries: str) -> np.ndarray:
    """Linear RGB to CIE XYZ, [3, 3]: its columns are the primaries, their sum is D65."""
    x, y = np.array([*_PRIMARIES[primaries], _D65]).T
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    scale = np.linalg.solve(columns[:, :3], columns[:, 3])
    return columns[:, :3] * scale
