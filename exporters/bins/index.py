"""The index of a folder of .bin files for an artefact.

DIR/index.json          what each file is made of, its shape and type
DIR/images/NAME.bin     the network's input, ready to be fed, without a header
DIR/masks/NAME.bin      the true alpha, without a header
DIR/preview.png         some of both, for a person to look at
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

from mattingjax.config.schema import Schema, from_json, read_json
from mattingjax.errors import ArtefactError, ConfigError, MattingError
from mattingjax.inference.screening import MAX_PIXELS
from mattingjax.inference.sessions import check_artefact, create_session
from mattingjax.inference.signature import (
    COLOUR_ORDERS,
    DTYPES,
    InputEncoding,
    Signature,
    read_signature,
)
from mattingjax.process.reading import hash_file

INDEX_FILE, PREVIEW_FILE = 'index.json', 'preview.png'
IMAGES_FOLDER, MASKS_FOLDER = 'images', 'masks'
_MIN_SIDE, _MAX_SIDE = 9, 2**14  # the metrics' filters are 9 pixels wide
_MAX_PHOTO_SIDE = 2**20
_SHA256 = re.compile('[0-9a-f]{64}')


@dataclasses.dataclass(frozen=True)
class Layout(Schema):
    """The shape and type of every .bin file.

    Attributes:
      artefact: Name of the artefact that the inputs are for; None if they are for no special one.
      artefact_sha256: Name of each of its files → SHA-256.
      input_shape: Shape of the inputs, [1, H, W, 3].
      input_dtype: Type of the inputs, 'float32' or 'uint8'.
      colour_order: Order of their channels, 'RGB' or 'BGR'.
      mean: Subtracted from red, green and blue in [0, 255]; zeros where the artefact does it.
      std: Divisors of the differences; ones where the artefact does it.
      mask_shape: Shape of the masks, [1, H, W, 1]; they are float32 in [0, 1].
      output_channels: Channels of the artefact's output, 1 or 2; None if that is unknown.
    """

    artefact: str | None
    artefact_sha256: dict = dataclasses.field(hash=False)
    input_shape: tuple[int, int, int, int]
    input_dtype: str
    colour_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mask_shape: tuple[int, int, int, int]
    output_channels: int | None

    def validate(self) -> None:
        for field, channels in (('input_shape', 3), ('mask_shape', 1)):
            shape = getattr(self, field)
            possible = all(_MIN_SIDE <= side <= _MAX_SIDE for side in shape[1:3])
            possible &= math.prod(shape[1:3]) <= MAX_PIXELS
            expected = (
                f'[1, H, W, {channels}] with H and W of {_MIN_SIDE} to {_MAX_SIDE} and '
                f'{MAX_PIXELS} pixels at most'
            )
            self.require(possible and (shape[0], shape[3]) == (1, channels), field, expected)
        self.require(self.input_dtype in DTYPES, 'input_dtype', "'float32' or 'uint8'")
        self.require(self.colour_order in COLOUR_ORDERS, 'colour_order', "'RGB' or 'BGR'")
        self.require(all(abs(value) <= 1e6 for value in self.mean), 'mean', 'at most 1e6 each')
        self.require(all(1e-3 <= value <= 1e6 for value in self.std), 'std', '1e-3 to 1e6 each')
        self.require(
            all(_is_sha256(value) for value in self.artefact_sha256.values()),
            'artefact_sha256',
            'file names and the SHA-256 of each',
        )
        self.require(self.output_channels in (None, 1, 2), 'output_channels', '1 or 2')

    @property
    def encoding(self) -> InputEncoding:
        """How photos become inputs."""
        return InputEncoding(self.input_dtype, self.colour_order, self.mean, self.std)


@dataclasses.dataclass(frozen=True)
class Item(Schema):
    """One photo.

    Attributes:
      name: The stem of its files.
      sources: Part of the record, such as 'image' → path of the file that it was read from.
      size: Height and width of the photo before it was resized, in pixels.
      image_file: Path of its input below the index's folder.
      image_sha256: SHA-256 of its input.
      mask_file: Path of its mask below the index's folder.
      mask_sha256: SHA-256 of its mask.
    """

    name: str
    sources: dict = dataclasses.field(hash=False)
    size: tuple[int, int]
    image_file: str
    image_sha256: str
    mask_file: str
    mask_sha256: str

    def validate(self) -> None:
        self.require(self.name == Path(self.name).name, 'name', 'a plain file name')
        for field, folder in (('image_file', IMAGES_FOLDER), ('mask_file', MASKS_FOLDER)):
            expected = f'{folder}/{self.name}.bin'
            self.require(getattr(self, field) == expected, field, repr(expected))
        for field in ('image_sha256', 'mask_sha256'):
            self.require(_is_sha256(getattr(self, field)), field, '64 hexadecimal digits')
        self.require(
            all(1 <= side <= _MAX_PHOTO_SIDE for side in self.size),
            'size',
            f'height and width of 1 to {_MAX_PHOTO_SIDE} pixels',
        )
        self.require(
            all(isinstance(path, str) for path in self.sources.values()), 'sources', 'paths'
        )


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


@dataclasses.dataclass(frozen=True)
class Index(Schema):
    """The content of index.json.

    Attributes:
      layout: The shape and type of every .bin file.
      items: The photos.
    """

    layout: Layout
    items: tuple[Item, ...]

    def validate(self) -> None:
        names = {item.name for item in self.items}
        if not self.items or len(names) < len(self.items):
            raise ConfigError('Index.items: expected at least one, and no name twice')


def read_index(folder: Path) -> Index:
    """Reads the index of a folder.

    Raises:
      MattingError: There is none, or it is damaged.
    """
    path = folder / INDEX_FILE
    if not path.is_file():
        raise MattingError(f'{folder}: holds no {INDEX_FILE}, as mattingjax bins prepare writes it')
    try:
        return from_json('index', read_json(path), Index)
    except ConfigError as error:
        raise MattingError(f'{path}: {error}') from error


def create_layout(
    artefact: Path | None = None,
    *,
    height: int | None = None,
    width: int | None = None,
    dtype: str | None = None,
    mask_size: tuple[int, int] | None = None,
) -> Layout:
    """Makes the layout that an artefact needs.

    Args:
      artefact: A `.pb`, `.onnx`, `.xml` or `.tflite` file with its manifest beside it, or with its
        signature in its metadata. If None, the inputs are RGB values in [0, 255].
      height: Height of the input in pixels; needed if the artefact is None or takes any size.
      width: Width of the input in pixels; needed if the artefact is None or takes any size.
      dtype: Type of the input, 'float32' or 'uint8'; the artefact's if None, or 'float32'. 'uint8'
        inputs are plain RGB values: where the graph leaves scaling out, Ascend's AIPP does it.
      mask_size: Height and width of the masks in pixels; the input's if None.

    Raises:
      ArtefactError: The artefact is missing or damaged, takes several photos at once, or resizes
        them itself.
      MattingError: The sizes are missing, impossible or not the artefact's.
    """
    signature = None if artefact is None else _load_signature(artefact)
    size = _choose_size(artefact, signature, height, width)
    plain = InputEncoding(dtype or 'float32', 'RGB', (0.0,) * 3, (1.0,) * 3)
    encoding = signature.encoding(dtype) if signature else plain
    return Layout(
        artefact=artefact.name if artefact else None,
        artefact_sha256=_hash_artefact(artefact) if artefact else {},
        input_shape=(1, *size, 3),
        input_dtype=encoding.dtype,
        colour_order=encoding.colour_order,
        mean=encoding.mean,
        std=encoding.std,
        mask_shape=(1, *(mask_size or size), 1),
        output_channels=1 if signature else None,
    )


def _load_signature(artefact: Path) -> Signature:
    check_artefact(artefact)
    try:
        # With a manifest at hand, the machine need not be able to run the artefact.
        return read_signature(artefact)
    except ArtefactError:
        metadata = create_session(artefact).metadata
        if metadata is None:
            raise
        return read_signature(artefact, metadata)


def _choose_size(
    artefact: Path | None, signature: Signature | None, height: int | None, width: int | None
) -> tuple[int, int]:
    if signature is not None:
        batch, own_height, own_width, _ = signature.shape
        if batch > 1:
            raise ArtefactError(f'{artefact}: takes {batch} photos at once; expected one at a time')
        if signature.resize_inside:
            raise ArtefactError(f'{artefact}: resizes photos itself; expected one of a static size')
        if own_height and own_width:
            if (height or own_height, width or own_width) != (own_height, own_width):
                raise MattingError(
                    f'height, width: {artefact} takes {own_height} by {own_width} pixels only'
                )
            return own_height, own_width
    if not height or not width:
        why = 'without an artefact' if artefact is None else f'because {artefact} takes any size'
        raise MattingError(f'height, width: both are needed {why}')
    return height, width


def _hash_artefact(artefact: Path) -> dict[str, str]:
    files = [artefact, *([artefact.with_suffix('.bin')] if artefact.suffix == '.xml' else [])]
    return {file.name: hash_file(file) for file in files}
