"""The options of an export."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from mattingjax.errors import MattingError
from mattingjax.inference.screening import MAX_PIXELS
from mattingjax.inference.signature import COLOUR_ORDERS

_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')
DEFAULT_FORMATS = ('pb', 'onnx', 'openvino', 'litert')
FORMATS = (*DEFAULT_FORMATS, 'web')  # which needs npm
PRECISIONS = ('fp32', 'fp16', 'int8')


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes:
      formats: Some of 'pb', 'onnx', 'openvino', 'litert', and 'web', a page that computes in the
        browser alone.
      height, width: Size of the input in pixels; the network's input size if None.
      batch_size: The number of images that an artefact takes at once.
      precisions: Some of 'fp32' (model.onnx, model.xml, model.tflite), 'fp16' (model_fp16 of each:
        half of the weights' bytes) and 'int8' (model_int8 of each: computed in eight bits). The
        frozen graph and the page's model are float32.
      scaling_inside: Whether the graph takes [0, 255] and scales itself; else its input must be
        normalised before (by Ascend's AIPP, say).
      embed_preprocessing: With 'RGB' or 'BGR', model_uint8.xml is written too, which takes uint8
        frames of any size in that order of colours.
      input_name, output_name: Names of the input and output nodes.
      verify: Whether every artefact is compared with the JAX network.
      photos: Pictures to compare on; two of scikit-image's if empty.
      calibration_images: Folder of the photos whose ranges 'int8' is made for, 300 at most.
      calibration_alphas: Folder of their true alphas, whose errors then bound what 'int8' costs;
        with them the IR too keeps in floating point what costs too much.
      max_mad_drop: By how much 'int8' may raise the mean absolute difference from true alphas; if
        None `calibration.MAX_MAD_DROP`.
      soc_version: The Ascend chip to convert for, if ATC is on PATH; None does not run ATC.
      onnxruntime_web: The npm package that 'web' needs, a .tgz file; if None, npm fetches it.
    """

    formats: tuple[str, ...] = DEFAULT_FORMATS
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
    calibration_images: Path | None = None
    calibration_alphas: Path | None = None
    max_mad_drop: float | None = None
    soc_version: str | None = None
    onnxruntime_web: Path | None = None

    def __post_init__(self) -> None:
        for name, known in (('formats', FORMATS), ('precisions', PRECISIONS)):
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
        self._check_precisions()
        if self.soc_version is not None and not (
            _NAME.fullmatch(self.soc_version) and 'pb' in self.formats
        ):
            raise MattingError(
                f'soc_version: expected a chip as Ascend310P3, and pb among the formats, got '
                f'{self.soc_version!r}'
            )
        if self.onnxruntime_web is not None and 'web' not in self.formats:
            raise MattingError('onnxruntime_web: expected web among the formats')
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

    def _check_precisions(self) -> None:
        reduced = [name for name in self.precisions if name != 'fp32']
        if reduced and {'pb', 'web'}.issuperset(self.formats):
            raise MattingError(
                f'precisions: {reduced[0]} is not for frozen graphs and pages; expected onnx, '
                f'openvino or litert among the formats, got {",".join(self.formats)}'
            )
        if reduced and not self.verify:
            raise MattingError(
                f'precisions: {reduced[0]} needs verification, which tells what bears it'
            )
        if 'int8' in self.precisions and self.calibration_images is None:
            raise MattingError(
                'calibration_images: int8 needs a folder of photos like those that will be matted, '
                'got none'
            )
        if 'int8' not in self.precisions and self.calibration_images is not None:
            raise MattingError(
                'calibration_images: is for int8; expected it among the precisions, got '
                f'{",".join(self.precisions)}'
            )
        if self.calibration_alphas is not None and self.calibration_images is None:
            raise MattingError(
                'calibration_alphas: expected calibration_images, the photos that they belong to'
            )
        if self.max_mad_drop is not None and not 0 < self.max_mad_drop < 1:
            raise MattingError(
                f'max_mad_drop: expected more than 0 and less than 1, got {self.max_mad_drop!r}'
            )
        if self.max_mad_drop is not None and self.calibration_alphas is None:
            raise MattingError(
                'max_mad_drop: expected calibration_alphas, the true alphas of what it bounds, got '
                'none'
            )


def check_pixels(batch_size: int, height: int, width: int) -> None:
    """Raises MattingError for an input with more pixels than `MAX_PIXELS`, which nothing loads."""
    if batch_size * height * width > MAX_PIXELS:
        raise MattingError(
            f'batch_size, height, width: expected at most {MAX_PIXELS} pixels together, got '
            f'{batch_size} images of {height} by {width}'
        )
