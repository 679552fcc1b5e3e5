"""Compares predicted alphas with true ones, photo by photo."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from mattingjax.data.trimaps import make_trimap
from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics import check_alpha, compute_region_metrics
from mattingjax.evaluation.metrics.soft_band import soft_band
from mattingjax.evaluation.options import EvaluationOptions
from mattingjax.evaluation.panel import draw_row
from mattingjax.images import resize
from mattingjax.process.progress import say, show_progress

Predict = Callable[[np.ndarray], np.ndarray]
NetworkSize = Callable[[int, int], tuple[int, int]]

_THREADS = 2  # one loads or measures a photo while the network works on another


class Records(Protocol):
    """The records to evaluate: a list, or a dataset of `mattingjax.data`.

    A record holds `alpha`, float [H, W] in [0, 1], and either `image`, uint8 [H, W, 3], or
    `pred_alpha`, float [h, w] in [0, 1]. It may hold its own `trimap`, [H, W] of 0, 0.5 and 1, and
    a `name`; without one its number is its name. Alphas and trimaps may have a last axis of size 1.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationReport:
    """The result of an evaluation.

    Attributes:
      options: How predicted alphas were compared with true ones.
      errors: Name of each photo → name of each figure (see `EvaluationOptions.columns`) → its
        value; NaN where the region has no pixel.
      skipped: The reason, in one line, for each photo that could not be evaluated.
      pictures: Name of each of the worst photos, the worst first → title → picture, as
        `panel.draw_row` draws them.
    """

    options: EvaluationOptions
    errors: dict[str, dict[str, float]]
    skipped: list[str]
    pictures: dict[str, dict[str, np.ndarray]]

    @property
    def counts(self) -> dict[str, int]:
        """Name of each figure → the number of photos whose region has pixels."""
        return {column: len(self._values(column)) for column in self.options.columns}

    @property
    def means(self) -> dict[str, float]:
        """Name of each figure → its mean over the photos whose region has pixels."""
        return self._aggregate(np.mean)

    @property
    def medians(self) -> dict[str, float]:
        """Name of each figure → its median over the photos whose region has pixels."""
        return self._aggregate(np.median)

    @property
    def ranking(self) -> list[str]:
        """The names of the photos, those with the largest first figure first."""
        return sorted(self.errors, key=lambda name: _badness(self.errors[name]), reverse=True)

    def _aggregate(self, function: Callable[[list[float]], Any]) -> dict[str, float]:
        return {
            column: float(function(values)) if (values := self._values(column)) else math.nan
            for column in self.options.columns
        }

    def _values(self, column: str) -> list[float]:
        return [row[column] for row in self.errors.values() if not math.isnan(row[column])]


class _Result(NamedTuple):
    """The result for one photo; its fields are described in `EvaluationReport`."""

    name: str
    errors: dict[str, float]
    pictures: dict[str, np.ndarray]


def evaluate(
    predict: Predict | None,
    records: Records,
    options: EvaluationOptions | None = None,
    *,
    network_size: NetworkSize | None = None,
    worst: int = 8,
    skip_damaged: bool = False,
) -> EvaluationReport:
    """Compares predicted alphas with the true ones.

    Progress goes to standard error.

    Args:
      predict: Takes a photo, uint8 [H, W, 3], and returns its alpha, float [h, w] in [0, 1], of any
        size, as a `mattingjax.Predictor` does. It is not called for records with a `pred_alpha`,
        and may be None if all have one. Several threads call it, but never two at a time.
      records: The records to evaluate.
      options: How alphas are compared; by default with all metrics in the whole image, in the
        unknown region and in the soft band, at the photo's own size.
      network_size: Takes height and width of a photo in pixels and returns those of the network's
        input; needed where `options.size` is 'network'.
      worst: Number of photos, the worst by the first figure, whose pictures are kept.
      skip_damaged: Whether a record that raises a `MattingError` is listed as skipped, instead of
        ending the evaluation.

    Raises:
      MattingError: There is no record, two have the same name, or one cannot be loaded or compared;
        the message names it.
    """
    compare = _Comparison(predict, options or EvaluationOptions(), network_size, draws=worst > 0)

    def work(index: int) -> _Result | MattingError:
        try:
            return compare({'name': index, **records[index]})
        except MattingError as error:
            if not skip_damaged:
                raise
            return error

    errors: dict[str, dict[str, float]] = {}
    skipped: list[str] = []
    kept: list[_Result] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(work, range(len(records)))
        for result in show_progress(
            results, total=len(records), unit='photo', description='evaluating'
        ):
            if isinstance(result, MattingError):
                skipped.append(str(result))
                say(f'skipped: {result}')
                continue
            if result.name in errors:
                raise MattingError(f'{result.name}: the name of two photos')
            errors[result.name] = result.errors
            kept = sorted([*kept, result], key=lambda r: _badness(r.errors), reverse=True)[:worst]
    if not errors:
        raise MattingError(f'none of {len(records)} photos could be evaluated')
    return EvaluationReport(compare.options, errors, skipped, {r.name: r.pictures for r in kept})


class _Comparison:
    """Compares one record; the arguments are described at `evaluate`."""

    def __init__(
        self,
        predict: Predict | None,
        options: EvaluationOptions,
        network_size: NetworkSize | None,
        *,
        draws: bool,
    ):
        self.options = options
        self._predict, self._network_size, self._draws = predict, network_size, draws
        self._one_at_a_time = threading.Lock()
        if options.size == 'network' and network_size is None:
            raise MattingError("size: 'network' needs a network, to know what size it sees")

    def __call__(self, record: Mapping[str, Any]) -> _Result:
        name, options = str(record['name']), self.options
        try:
            if options.size == 'network' and self._network_size is not None:
                record = _resize_record(record, self._network_size)
            image, true_alpha = record.get('image'), _true_alpha(record)
            pred_alpha = _as_plane(np.asarray(self._predict_alpha(record)))
            size = true_alpha.shape if isinstance(options.size, str) else options.size
            true_alpha = _fit(true_alpha, size, 'true_alpha')
            pred_alpha = _fit(pred_alpha, size, 'pred_alpha')
            regions: dict[str, np.ndarray | None] = dict.fromkeys(options.regions)
            if 'unknown' in regions:
                regions['unknown'] = self._find_unknown(record, true_alpha)
            if 'soft' in regions:
                regions['soft'] = soft_band(true_alpha)
            values = compute_region_metrics(pred_alpha, true_alpha, regions, options.metrics)
        except MattingError as error:
            raise MattingError(f'{name}: {error}') from error
        figures = {
            column: values[region][metric] for column, (region, metric) in options.columns.items()
        }
        pictures = draw_row(image, pred_alpha, true_alpha) if self._draws else {}
        return _Result(name, figures, pictures)

    def _predict_alpha(self, record: Mapping[str, Any]) -> np.ndarray:
        if 'pred_alpha' in record:
            return record['pred_alpha']
        if self._predict is None or 'image' not in record:
            raise MattingError('expected pred_alpha, or an image and what predicts it')
        with self._one_at_a_time:
            return self._predict(record['image'])

    def _find_unknown(self, record: Mapping[str, Any], true_alpha: np.ndarray) -> np.ndarray:
        """The unknown region, a bool array of the true alpha's shape."""
        if 'trimap' in record:
            trimap = _fit_trimap(record['trimap'], true_alpha.shape)
        else:
            alpha = true_alpha.astype(np.float32)
            trimap = make_trimap(alpha, self.options.trimap_kernel, self.options.trimap_iterations)
        return trimap == 0.5


def _true_alpha(record: Mapping[str, Any]) -> np.ndarray:
    if 'alpha' not in record:
        raise MattingError('expected a true alpha, got none')
    return _as_plane(record['alpha'])


def _resize_record(record: Mapping[str, Any], network_size: NetworkSize) -> Mapping[str, Any]:
    """Resizes a record to the size of the network's input."""
    true_alpha = _true_alpha(record)
    size = network_size(*true_alpha.shape)
    resized = {**record, 'alpha': _fit(true_alpha, size, 'true_alpha')}
    if 'image' in record:
        resized['image'] = resize(record['image'], *size, enlarge=cv2.INTER_AREA)
    if 'trimap' in record:
        resized['trimap'] = _fit_trimap(record['trimap'], size)
    return resized


def _fit(alpha: np.ndarray, size: tuple[int, ...], name: str) -> np.ndarray:
    """Resizes an alpha as `mattingjax.Predictor` does; `name` is its name in error messages."""
    if alpha.shape == size:
        return alpha
    check_alpha(alpha, name)  # the clipping below would hide values beyond [0, 1]
    return np.clip(resize(alpha, *size), 0, 1)


def _fit_trimap(trimap: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(_as_plane(trimap), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _as_plane(values: np.ndarray) -> np.ndarray:
    """Removes the last axis from an array [H, W, 1], as networks return it."""
    return values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values


def _badness(errors: Mapping[str, float]) -> float:
    """The first figure, by which photos are ranked; those without one come last."""
    first = next(iter(errors.values()))
    return -math.inf if math.isnan(first) else first
