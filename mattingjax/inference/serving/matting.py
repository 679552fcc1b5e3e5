"""Mattes the photo of one request."""

from __future__ import annotations

import io
import threading
from typing import NamedTuple

from fastapi import HTTPException

from mattingjax.errors import ImageError, TooLargeError, UnknownFormatError
from mattingjax.images import encode_image, load_photo, read_size
from mattingjax.images.compositing import Background
from mattingjax.inference.outputs import Outputs, finish
from mattingjax.inference.predictor import Predictor
from mattingjax.inference.serving.workers import Abandoned
from mattingjax.process.timing import Stages

STAGES = ('decode', 'network', 'finish', 'encode')
MEDIA_TYPES = {'png': 'image/png', 'webp': 'image/webp', 'jpg': 'image/jpeg'}


class _Watched(io.BytesIO):
    """A file whose reading ends by Abandoned once nobody waits any longer.

    The decoders of JPEG and PNG read little at a time, and a file may keep them busy for an hour: a
    JPEG may have a million scans.

    Args:
      content: The bytes of the file.
      abandoned: Is set once nobody waits any longer.
    """

    def __init__(self, content: bytes, abandoned: threading.Event):
        super().__init__(content)
        self._abandoned = abandoned

    def read(self, size: int | None = -1, /) -> bytes:
        _go_on(self._abandoned)
        return super().read(size)


def _go_on(abandoned: threading.Event) -> None:
    """Raises Abandoned if nobody waits any longer."""
    if abandoned.is_set():
        raise Abandoned


class Picture(NamedTuple):
    """The answer to a request.

    Attributes:
      content: The bytes of the picture's file.
      media_type: Such as 'image/png'.
      size: Height and width in pixels.
      stages: The seconds that each of `STAGES` took.
    """

    content: bytes
    media_type: str
    size: tuple[int, int]
    stages: Stages


def matte_photo(
    content: bytes,
    predictor: Predictor,
    outputs: Outputs,
    max_pixels: float,
    abandoned: threading.Event,
) -> Picture:
    """Mattes one photo.

    Args:
      content: The bytes of its file.
      predictor: What computes the alpha.
      outputs: The one picture that is made of it.
      max_pixels: The most pixels that it may have.
      abandoned: Is looked at between the stages, and while the photo is decoded.

    Raises:
      HTTPException: It is no picture (415), too large (413), or no matte can be made of it (422).
      Abandoned: Nobody waits for the matte any longer.
    """
    stages = Stages(*STAGES)
    try:
        with stages.timed('decode'):
            check_size(content, 'image', max_pixels)
            photo = load_photo(_Watched(content, abandoned), 'image')
        _go_on(abandoned)
        with stages.timed('network'):
            alpha = predictor(photo)
        _go_on(abandoned)
        with stages.timed('finish'):
            if outputs.refine:
                alpha = predictor.refine(photo, alpha)
            ((kind, picture),) = finish(photo, alpha, outputs)
        _go_on(abandoned)
        with stages.timed('encode'):
            extension = outputs.extensions()[kind]
            encoded = encode_image(picture.pixels, extension, picture.icc_profile)
    except ImageError as error:
        raise as_answer(error, 'image') from error
    height, width = alpha.shape
    return Picture(encoded, MEDIA_TYPES[extension], (height, width), stages)


def load_background(content: bytes, max_pixels: float, abandoned: threading.Event) -> Background:
    """Decodes the picture that a composite is put on.

    Args:
      content: The bytes of its file.
      max_pixels: The most pixels that it may have.
      abandoned: Is looked at while it is decoded.

    Raises:
      HTTPException: It is no picture (415), too large (413) or damaged (422).
    """
    try:
        check_size(content, 'background', max_pixels)
        return Background(_Watched(content, abandoned))
    except ImageError as error:
        raise as_answer(error, 'background') from error


def check_size(content: bytes, name: str, max_pixels: float) -> None:
    """Raises ImageError unless the file is a picture, and TooLargeError if it is too large."""
    height, width = read_size(content, name)
    if height * width > max_pixels:
        raise TooLargeError(
            f'{name}: expected at most {max_pixels / 1e6:g} megapixels, got {width}x{height}'
        )


def as_answer(error: ImageError, name: str) -> HTTPException:
    """What a client gets told of a bad picture, which its part of the request is named for."""
    if isinstance(error.__cause__, ImportError):  # how to install it is not for strangers
        return HTTPException(415, f'{name}: this server reads no HEIC')
    status = 422
    if isinstance(error, UnknownFormatError):
        status = 415
    elif isinstance(error, TooLargeError):
        status = 413
    text = str(error)
    return HTTPException(status, text if text.startswith(f'{name}: ') else f'{name}: {text}')
