"""Writes videos of alphas and others for tests, in whatever format."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = 48, 64  # rows and columns
RAMP = np.tile(np.linspace(0, 255, SIZE[1]).astype(np.uint8), (SIZE[0], 1))


def write_clip(
    path: Path,
    pictures: Sequence[np.ndarray | av.VideoFrame],
    codec: str = 'ffv1',
    pixels: str = 'gray',
    *,
    rate: int = 25,
    times: Sequence[int] | None = None,
    color_range: int = 0,
    **options: str,
) -> Path:
    """Writes a video.

    Args:
      path: The file.
      pictures: uint8 [H, W], [H, W, 3] or [H, W, 4], or frames that are written as they are.
      codec: Name of the encoder.
      pixels: The format of its pixels.
      rate: Pictures per second.
      times: Milliseconds at which they are shown; at the rate if None.
      color_range: FFmpeg's AVCOL_RANGE that the file states, 0 for none.
      **options: Options of the encoder.
    """
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.pix_fmt = pixels
        frames = [each if isinstance(each, av.VideoFrame) else as_frame(each) for each in pictures]
        stream.width, stream.height = frames[0].width, frames[0].height
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if color_range:
            stream.codec_context.color_range = color_range
        for i, frame in enumerate(frames):
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def as_frame(picture: np.ndarray) -> av.VideoFrame:
    kind = {2: 'gray', 3: 'rgb24', 4: 'rgba'}[
        picture.ndim if picture.ndim == 2 else picture.shape[-1]
    ]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=kind)


def frame_of_planes(pixels: str, *planes: np.ndarray) -> av.VideoFrame:
    """A frame whose planes hold exactly these numbers."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixels)
    for plane, numbers in zip(frame.planes, planes, strict=True):
        whole = np.zeros((plane.height, plane.line_size // numbers.itemsize), numbers.dtype)
        whole[:, : numbers.shape[1]] = numbers
        plane.update(whole.tobytes())
    return frame
