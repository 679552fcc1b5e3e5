"""Pictures that take far more memory or time to decode than their size tells."""

from __future__ import annotations

from PIL import ImageFile

from mattingjax.errors import TooLargeError

_TILE_SIZE = (322, 323)  # TIFF's tags for the width and height of a tile
_LARGEST_TILE = 2**24  # pixels of a tile in a small picture
_JPEG_BLOCK = 4096  # bytes that are read at a time


def disarmed(image: ImageFile.ImageFile, where: str) -> ImageFile.ImageFile:
    """Returns a picture that has been opened, after what can be done before it is decoded.

    A tile of a TIFF file is decoded whole, and may be gigabytes in a picture of a few pixels. Of a
    JPEG file little is read at a time: an open file can end its decoding only when it is read, and
    64 kB may be a thousand scans, each of which takes as long as a whole picture.

    Args:
      image: The picture.
      where: What messages call it.

    Raises:
      TooLargeError: A tile is far larger than the picture.
    """
    width, height = (getattr(image, 'tag_v2', {}).get(tag, 1) for tag in _TILE_SIZE)
    if width * height > max(_LARGEST_TILE, 4 * image.width * image.height):
        raise TooLargeError(f'{where}: too large to decode (a tile of {width}x{height} pixels)')
    if image.format in ('JPEG', 'MPO'):
        image.decodermaxblock = _JPEG_BLOCK
    return image
