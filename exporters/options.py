"""The options of an export."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from exporters.artefacts import TOLERANCES
from mattingjax.errors import MattingError
from mattingjax.inference.screening import MAX_PIXELS
from mattingjax.inference.signature import COLOUR_ORDERS

_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')
FORMATS = ('pb', 'onnx', 'openvino')


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes:
      formats: Some of 'pb', 'onnx', 'openvino'.
      height, width: Size of the input in pixels; the network's input size if None.
      batch_size: The number of images that an artefact takes at once.
      precisions: Those of the IR's weights: 'fp32' (model.xml), 'fp16' (model_fp16.xml) or both.
      scaling_inside: Whether the graph takes [0, 255] and scales itself; else its input must be
        normalised before (by Ascend's AIPP, say).
      embed_preprocessing: With 'RGB' or 'BGR', model_uint8.xml is written too, which takes uint8
        frames of any size in that order of colours.
      input_name, output_name: Names of the input and output nodes.
      verify: Whether every artefact is compared with the JAX network.
      photos: Pictures to compare on; two of scikit-image's if empty.
      soc_version: The Ascend chip to convert for, if ATC is on PATH; None does not run ATC.
    """

    formats: tuple[str, ...] = FORMATS
    height: int | None = None
    width: int | None = None
    batch_size: int = 1
    precisions: tuple[str, ...] = ('fp32',)
    scaling_inside: bool = True
    embed_preprocessing: str | None = None
    input_name: str = 'input'
    output_name: str = 'output'
    verify: bool = True
    photos: tuple[Path, ...] = ()
    soc_version: str | None = None

    def __post_init__(self) -> None:
        for name, known in (('formats', FORMATS), ('precisions', tuple(TOLERANCES))):
            values = getattr(self, name)
            is_tuple = isinstance(values, tuple) and all(value in known for value in values)
            if not values or not is_tuple or len(set(values)) < len(values):
                found = ','.join(map(str, values)) if isinstance(values, tuple) else repr(values)
                raise MattingError(
                    f'{name}: expected some of {", ".join(known)}, got {found or "none"}'
                )
        for name in ('batch_size', 'height', 'width'):
            value = getattr(self, name)
            if name != 'batch_size' and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise MattingError(f'{name}: expected a whole number of at least 1, got {value!r}')
        check_pixels(self.batch_size, self.height or 1, self.width or 1)
        if self.input_name == self.output_name or not all(
            _NAME.fullmatch(name) for name in (self.input_name, self.output_name)
        ):
            raise MattingError(
                'input_name, output_name: expected two different names of a letter and then '
                f'letters, digits and _, got {self.input_name!r} and {self.output_name!r}'
            )
        if 'fp16' in self.precisions and 'openvino' not in self.formats:
            raise MattingError(
                'precisions: fp16 is for the weights of OpenVINO IR; expected openvino among the '
                f'formats, got {",".join(self.formats)}'
            )
        if 'fp16' in self.precisions and not self.verify:
            raise MattingError('precisions: fp16 needs verification, which tells what bears it')
        if self.soc_version is not None and not (
            _NAME.fullmatch(self.soc_version) and 'pb' in self.formats
        ):
            raise MattingError(
                f'soc_version: expected a chip as Ascend310P3, and pb among the formats, got '
                f'{self.soc_version!r}'
            )
        if self.embed_preprocessing not in (None, *COLOUR_ORDERS):
            raise MattingError(
                f'embed_preprocessing: expected one of {", ".join(COLOUR_ORDERS)}, got '
                f'{self.embed_preprocessing!r}'
            )
        if self.embed_preprocessing is not None and 'openvino' not in self.formats:
            raise MattingError('embed_preprocessing: expected openvino among the formats')
        if self.embed_preprocessing is not None and self.batch_size != 1:
            raise MattingError('embed_preprocessing: expected a batch size of 1')
        if self.embed_preprocessing is not None and not self.scaling_inside:
            raise MattingError('embed_preprocessing: expected scaling inside the graph')


def check_pixels(batch_size: int, height: int, width: int) -> None:
    """Raises MattingError for an input with more pixels than `MAX_PIXELS`, which nothing loads."""
    if batch_size * height * width > MAX_PIXELS:
        raise MattingError(
            f'batch_size, height, width: expected at most {MAX_PIXELS} pixels together, got '
            f'{batch_size} images of {height} by {width}'
        )
