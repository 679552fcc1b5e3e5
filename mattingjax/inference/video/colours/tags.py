"""What a video says about its colours, and what is meant where it says nothing."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

from mattingjax.inference.video.colours.high_dynamic_range import USUAL_PEAK, WHITE, Gamut
from mattingjax.inference.video.colours.side_data import read_side_data

# Numbers of ITU-T H.273, which FFmpeg shares; BT709 is those of its primaries and transfer too.
BT709, UNSPECIFIED, BT601 = 1, 2, 6
_BT2020, _BT2020_CONSTANT = 9, 10
_MATRICES = {BT709, 4, 5, BT601, 7, _BT2020}  # those that FFmpeg's swscale can apply
_UNSAID = {0, UNSPECIFIED, 3, 12}  # RGB, unspecified, reserved, that of the primaries
LIMITED, FULL = 1, 2  # black is 16 of 255, or 0; where nobody says, it is 0
_TRANSFERS = {16: 'PQ', 18: 'HLG'}  # any other is taken for that of sRGB
_PRIMARIES = {9: 'BT.2020', 11: 'P3', 12: 'P3'}  # any other is nearly that of sRGB, or rare
_HD_HEIGHT, _HD_WIDTH = 720, 1280  # from one of which on players assume BT.709
_MAX_PEAK = 10000.0  # cd/m²; PQ ends there
_RATIONAL = 8  # bytes: two ints


@dataclasses.dataclass(frozen=True)
class ColourTags:
    """What the numbers in frames mean.

    Attributes:
      matrix: From YUV to RGB, a number of H.273.
      range: LIMITED or FULL.
      gamut: What RGB means; None if it is sRGB.
      depth: Bits of a number.
      note: What a user should know about it, if anything.
    """

    matrix: int
    range: int
    gamut: Gamut | None
    depth: int
    note: str | None

    def write(self, frame: Any) -> None:
        """Makes these the properties of an `av.VideoFrame`, as far as swscale looks at them."""
        frame.colorspace, frame.color_range = self.matrix, self.range
        # The gamut is not its business, and some numbers would have it refuse the frame.
        frame.color_trc = frame.color_primaries = UNSPECIFIED


def read_tags(frame: Any) -> ColourTags:
    """Reads the properties of an `av.VideoFrame`, and fills gaps as players do."""
    matrix, unknown = frame.colorspace, None
    if matrix not in _MATRICES:
        if matrix == _BT2020_CONSTANT:
            matrix = _BT2020
        else:
            if matrix not in _UNSAID and not frame.format.is_rgb:
                unknown = (
                    f'wrong colours: their matrix (number {matrix} of H.273) is not known here'
                )
            matrix = guess_matrix(frame.height, frame.width)
    gamut = _read_gamut(frame)
    depth = max(component.bits for component in frame.format.components)
    note = f'{depth}-bit colours rounded to 8' if depth > 8 else None
    if gamut:
        note = f'converted from {_describe(gamut)} to sRGB'
    return ColourTags(matrix, _read_range(frame), gamut, depth, unknown or note)


def guess_matrix(height: int, width: int) -> int:
    """The matrix of a video that does not say which it is, as players guess it: BT.709 for HD."""
    return BT709 if height >= _HD_HEIGHT or width >= _HD_WIDTH else BT601


def _read_range(frame: Any) -> int:
    pixel_format = frame.format
    if pixel_format.is_rgb or pixel_format.name.startswith('yuvj'):
        return FULL
    if frame.color_range in (LIMITED, FULL):
        return frame.color_range
    return LIMITED if len(pixel_format.components) > 2 else FULL  # grey that does not say it


def _read_gamut(frame: Any) -> Gamut | None:
    transfer = _TRANSFERS.get(frame.color_trc, 'SDR')
    if transfer == 'SDR' and frame.color_primaries not in _PRIMARIES:
        return None
    # HDR without primaries is that of BT.2100.
    known = transfer == 'SDR' or frame.color_primaries not in (0, UNSPECIFIED)
    primaries = _PRIMARIES.get(frame.color_primaries, 'BT.709') if known else 'BT.2020'
    return Gamut(transfer, primaries, _read_peak(frame) if transfer == 'PQ' else USUAL_PEAK)


def _read_peak(frame: Any) -> float:
    """Luminance of the brightest highlights in cd/m²."""
    content = read_side_data(frame, 'CONTENT_LIGHT_LEVEL')
    display = read_side_data(frame, 'MASTERING_DISPLAY_METADATA')
    peak = float(struct.unpack_from('=I', content)[0]) if content else 0.0
    if not peak and display:
        # FFmpeg's AVMasteringDisplayMetadata: three primaries of two coordinates, white's two, the
        # smallest luminance, the largest; then whether the primaries and the luminances are there.
        top, bottom = struct.unpack_from('=2i', display, 9 * _RATIONAL)
        _, there = struct.unpack_from('=2i', display, 10 * _RATIONAL)
        peak = top / bottom if there and bottom > 0 else 0.0
    return min(max(peak, WHITE), _MAX_PEAK) if peak > 0 else USUAL_PEAK


def _describe(gamut: Gamut) -> str:
    if gamut.transfer == 'SDR':
        return 'Display P3' if gamut.primaries == 'P3' else gamut.primaries
    return f'HDR ({gamut.transfer}, {gamut.primaries})'
