"""Writes small ICC profiles, for colours that a file describes by a number instead of a profile."""

from __future__ import annotations

import struct

import numpy as np

# Chromaticities x, y of red, green and blue, with white D65 (ITU-T H.273, table 2): the numbers
# are those of its code points.
_PRIMARIES = {
    1: ('sRGB', (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    9: ('Rec. 2020', (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ('Display P3', (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
SRGB, REC_2020, DISPLAY_P3 = _PRIMARIES
_D65, _D50 = (0.3127, 0.3290), (0.9642, 1.0, 0.8249)  # x, y; and X, Y, Z of ICC's own white
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
# (a·x + b)^g from d on, c·x below it: sRGB's curve (IEC 61966-2-1) as g, a, b, c, d.
_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def make_profile(primaries: int) -> bytes | None:
    """Makes the ICC profile of RGB colours with the given primaries and sRGB's curve.

    Args:
      primaries: Their code point, such as `DISPLAY_P3`.

    Returns:
      The profile, or None if no profile is known for the number.

    References:
      The file: ICC.1:2022, clauses 7 and 10. Adaptation of white D65 to D50 by the Bradford
      transform: its annex E. Code points: ITU-T H.273.
    """
    if primaries not in _PRIMARIES:
        return None
    name, *corners = _PRIMARIES[primaries]
    white = _to_xyz(_D65)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adaptation = adaptation @ _BRADFORD
    columns = np.stack([_to_xyz(corner) for corner in corners], axis=1)
    # Columns are scaled so that red, green and blue together give white.
    columns = adaptation @ (columns * np.linalg.solve(columns, white))
    curve = b'para' + struct.pack('>I2H', 0, 3, 0) + _fixed(_CURVE)
    return _profile(
        {
            b'desc': _text(name),
            b'cprt': _text('CC0'),
            b'wtpt': b'XYZ \0\0\0\0' + _fixed(_D50),
            b'chad': b'sf32\0\0\0\0' + _fixed(adaptation.ravel()),
            **{
                tag: b'XYZ \0\0\0\0' + _fixed(column)
                for tag, column in zip((b'rXYZ', b'gXYZ', b'bXYZ'), columns.T, strict=True)
            },
            **dict.fromkeys((b'rTRC', b'gTRC', b'bTRC'), curve),
        }
    )


def _to_xyz(chromaticity: tuple[float, float]) -> np.ndarray:
    x, y = chromaticity
    return np.array([x / y, 1, (1 - x - y) / y])


def _fixed(values) -> bytes:
    """Numbers as ICC's s15Fixed16."""
    return np.round(np.asarray(values) * 65536).astype('>i4').tobytes()


def _text(text: str) -> bytes:
    encoded = text.encode('utf-16-be')
    return b'mluc' + struct.pack('>3I4s2I', 0, 1, 12, b'enUS', len(encoded), 28) + encoded


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """The file of a display's RGB profile, version 4.3, perceptual, with these tags."""
    table, data = struct.pack('>I', len(tags)), b''
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack('>2I', start + len(data), len(content))
        data += content + b'\0' * (-len(content) % 4)
    header = struct.pack('>I4xI4s4s4s', start + len(data), 0x04300000, b'mntr', b'RGB ', b'XYZ ')
    header += struct.pack('>6H4s28x', 2026, 1, 1, 0, 0, 0, b'acsp') + _fixed(_D50)
    return header.ljust(128, b'\0') + table + data
