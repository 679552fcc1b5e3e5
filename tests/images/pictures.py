"""Pictures in files, whole and damaged."""

import io
import struct
import zlib

from PIL import Image


def save(path, picture, mode=None, **options):
    image = Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def truncated_jpeg(picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).resize((600, 400)).save(buffer, 'JPEG')
    return buffer.getvalue()[:2000]


def huge_tile() -> bytes:
    """The header of a TIFF file of 8x8 grey pixels in one tile of 40000x40000."""
    values = {
        256: 8,
        257: 8,
        258: 8,
        259: 8,
        262: 1,
        277: 1,
        322: 40000,
        323: 40000,
        324: 8,
        325: 1,
    }
    entries = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in values.items())
    return b'II*\0' + struct.pack('<IH', 8, len(values)) + entries + bytes(4)


def bomb() -> bytes:
    """A valid PNG of a few hundred bytes that claims 40,000 × 40,000 pixels."""
    buffer = io.BytesIO()
    Image.new('1', (8, 8)).save(buffer, 'PNG')
    content = bytearray(buffer.getvalue())
    content[16:24] = (40_000).to_bytes(4, 'big') * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    return bytes(content)
