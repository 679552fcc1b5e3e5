"""Augmentation on the device: chains of `data.transforms` inside of a compiled program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mattingjax.data.close_ups import Person
from mattingjax.data.geometry import VISIBLE
from mattingjax.data.on_device.degradations import DEGRADATIONS, Example, to_levels
from mattingjax.data.on_device.draws import Draws
from mattingjax.data.on_device.pictures import line_maximum, mean, sample
from mattingjax.data.on_device.recomposition import recompose
from mattingjax.data.on_device.store import ALPHA, COLOURS, FOREGROUND, Store
from mattingjax.data.on_device.trimaps import random_trimap
from mattingjax.data.on_device.views import MOVES, Subject, View, choose, whole
from mattingjax.data.recomposition import Recompose
from mattingjax.data.transforms import Chain, Maybe, ToExample
from mattingjax.errors import MattingError

Augment = Callable[[Store, jax.Array, jax.Array], dict[str, jax.Array]]


def create_augmentation(chain: Chain) -> Augment:
    """Makes the counterpart of a chain: a function to compile, and to map over photos.

    Ranges and probabilities are those of the chain's transforms. The geometric ones become one map,
    by which a photo is sampled once. Foreground colours are those that the store has of the whole
    photo; the chain estimates them of the part that is seen.

    Args:
      chain: What `data.transforms.create_transform` made.

    Returns:
      A function of a store, the row of a photo in it, an int32 scalar, and a key of `jax.random`.
      It returns an example: `image`, uint8 [S, S, 3], and if the photos have alphas `alpha`, and if
      the chain makes them `trimap`, float32 [S, S, 1].

    Raises:
      MattingError: A transform of the chain has no counterpart.
    """
    known = {*MOVES, *DEGRADATIONS, Recompose, ToExample}
    if unknown := [part for part in chain.transforms if _kind(part) not in known]:
        raise MattingError(f'on_device: the transform {unknown[0]} has no counterpart')
    return lambda store, row, key: make_example(chain, store, row, Draws(key))


def make_example(chain: Chain, store: Store, row: jax.Array, draws: Draws) -> dict[str, jax.Array]:
    """Makes an example as `create_augmentation` describes it, of random numbers that are given."""
    *transforms, last = chain.transforms
    assert isinstance(last, ToExample)
    view = whole(store.photos.sides[row, 0])
    subject = _find_subject(store, row)
    for part in transforms:
        if _kind(part) in MOVES:
            moved = MOVES[_kind(part)](_bare(part), view, subject, draws)
            view = choose(_is_applied(part, draws), moved, view)
    view = view.resized(jnp.full(2, float(last.size)))
    example, foreground = _sample(store, row, view, last.size)
    for part in transforms:
        if isinstance(part, Recompose):
            example = _recompose(part, store, row, example, foreground, draws)
        elif _kind(part) in DEGRADATIONS:
            degraded = DEGRADATIONS[_kind(part)](_bare(part), example, draws)
            example = choose(_is_applied(part, draws), degraded, example)
    made = {'image': example.image.astype(jnp.uint8)}
    if example.alpha is not None:
        made['alpha'] = example.alpha[..., None]
        if last.trimap:
            made['trimap'] = random_trimap(example.alpha, draws)[..., None]
    return made


def _bare(part: Any) -> Any:
    return part.transform if isinstance(part, Maybe) else part


def _kind(part: Any) -> type:
    return type(_bare(part))


def _is_applied(part: Any, draws: Draws) -> jax.Array | bool:
    return draws.chance(part.probability) if isinstance(part, Maybe) else True


def _find_subject(store: Store, row: jax.Array) -> Subject:
    def closed_sides(view: View) -> tuple[jax.Array, jax.Array]:
        """Those of a photo all are, those of a cut-out where they cut the person off."""
        if store.cutouts is None:
            return jnp.ones(2, bool), jnp.ones(2, bool)
        (left, upper), (right, lower) = view.low, view.high - 1
        corners = [jnp.stack([x, y]) for y in (upper, lower) for x in (left, right)]
        lines = [(0, 2), (0, 1), (1, 3), (2, 3)]  # left, upper, right, lower
        highest = jnp.stack(
            [
                line_maximum(store.photos, row, (corners[one], corners[other]), ALPHA)
                for one, other in lines
            ]
        )
        closed = ~store.cutouts[row] | (highest > VISIBLE * 255)
        return closed[:2], closed[2:]

    person = Person(0, 0, 0) if store.persons is None else Person(*store.persons[row])
    return Subject(person, closed_sides)


def _sample(
    store: Store, row: jax.Array, view: View, size: int
) -> tuple[Example, jax.Array | None]:
    """Samples a photo, and its foreground if there is any, as they are seen in a view."""
    taps = sample(store.photos, row, view, size)
    image = to_levels(mean(taps, COLOURS))
    channels = store.photos.pixels.shape[-1]
    if channels <= ALPHA:
        return Example(image, None), None
    alpha = mean(taps, slice(ALPHA, ALPHA + 1))
    example = Example(image, jnp.clip(alpha[..., 0] / 255, 0, 1))
    if channels < FOREGROUND.stop:
        return example, None
    # Weighted by alpha: else the arbitrary colours of transparent pixels would bleed in.
    total = sum(
        tap.weights * tap.pixels[..., ALPHA, None] * tap.pixels[..., FOREGROUND] for tap in taps
    )
    return example, to_levels(total / jnp.maximum(alpha, 1e-4))


def _recompose(
    transform: Recompose,
    store: Store,
    row: jax.Array,
    example: Example,
    foreground: jax.Array | None,
    draws: Draws,
) -> Example:
    """Gives a photo a new background with the transform's probability, and a cut-out always."""
    if foreground is None or store.backgrounds is None:
        return example
    assert example.alpha is not None
    image = recompose(transform, foreground, example.alpha, store.backgrounds, draws)
    wanted = draws.chance(transform.probability)
    if store.cutouts is not None:
        wanted |= store.cutouts[row]
    return example._replace(image=jnp.where(wanted, image, example.image))
