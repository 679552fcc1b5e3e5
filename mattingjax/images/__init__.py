"""Reads photos of every common format as RGB arrays, lists folders of them, encodes results."""

from mattingjax.images.colour import load_srgb, to_srgb
from mattingjax.images.decoding import (
    Photo,
    as_image,
    load_image,
    load_photo,
    open_picture,
    read_size,
)
from mattingjax.images.encoding import (
    FORMATS,
    choose_format,
    encode_image,
    encode_jpeg,
    encode_png,
    encode_webp,
)
from mattingjax.images.listing import (
    EXTENSIONS,
    FolderContent,
    describe_others,
    find_images,
    find_path,
    list_folder,
    name_key,
)
from mattingjax.images.pixels import as_alpha, check_alpha, check_image, resize

__all__ = [
    'EXTENSIONS',
    'FORMATS',
    'FolderContent',
    'Photo',
    'as_alpha',
    'as_image',
    'check_alpha',
    'check_image',
    'choose_format',
    'describe_others',
    'encode_image',
    'encode_jpeg',
    'encode_png',
    'encode_webp',
    'find_images',
    'find_path',
    'list_folder',
    'load_image',
    'load_photo',
    'load_srgb',
    'name_key',
    'open_picture',
    'read_size',
    'resize',
    'to_srgb',
]
