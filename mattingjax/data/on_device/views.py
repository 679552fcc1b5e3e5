"""Geometric transforms on the device, composed to one affine map by which a photo is sampled once.

Each is the counterpart of one in `data.geometry`, whose ranges it draws from. There each transform
resamples the photo; here it only changes the view, the map from the pixels that come out to those
of the photo as it is stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mattingjax.data import close_ups, geometry
from mattingjax.data.on_device.draws import Draws


class View(NamedTuple):
    """What is seen of a stored picture. All is float32, in pixels, x before y.

    Attributes:
      matrix: [2, 2]; at the point p of the view, the point matrix · p + offset of the picture is
        seen. Points count from the upper left corner.
      offset: [2].
      sides: The view's width and height, [2].
      low: The upper left corner of the part of the picture that may be seen, [2].
      high: The lower right corner of that part, [2].
    """

    matrix: jax.Array
    offset: jax.Array
    sides: jax.Array
    low: jax.Array
    high: jax.Array

    def then(self, matrix: jax.Array, offset: jax.Array, sides: jax.Array) -> View:
        """The view of this view: its point matrix · p + offset is seen at the point p."""
        return self._replace(
            matrix=_multiply(self.matrix, matrix),
            offset=_multiply(self.matrix, offset[:, None])[:, 0] + self.offset,
            sides=jnp.broadcast_to(jnp.asarray(sides, jnp.float32), (2,)),
        )

    def resized(self, sides: jax.Array) -> View:
        """The same part of the picture at another width and height."""
        return self.then(jnp.diag(self.sides / sides), jnp.zeros(2), sides)

    def flipped(self) -> View:
        """The mirror image."""
        return self.then(
            jnp.diag(jnp.array([-1.0, 1.0])), self.sides * jnp.array([1, 0]), self.sides
        )


class Subject(NamedTuple):
    """What geometric transforms have to know of a photo.

    Attributes:
      person: Where the person is, a `close_ups.Person` of scalars in pixels of the stored photo;
        the length is 0 if there is none to be found.
      closed_sides: Whether nothing may be shown beyond the left and upper, and the right and lower,
        sides of a view: bool [2] each.
    """

    person: close_ups.Person
    closed_sides: Callable[[View], tuple[jax.Array, jax.Array]]


Move = Callable[[Any, View, Subject, Draws], View]


def whole(sides: jax.Array) -> View:
    """The view that shows a picture of this width and height as it is."""
    sides = sides.astype(jnp.float32)
    return View(jnp.eye(2), jnp.zeros(2), sides, jnp.zeros(2), sides)


def _flip(_: Any, view: View, subject: Subject, draws: Draws) -> View:
    return view.flipped()


def _resize(transform: geometry.RandomResize, view: View, _: Subject, draws: Draws) -> View:
    if transform.keep_aspect:
        factor = _factor(transform, draws)
        sides = factor * transform.size * view.sides / view.sides.min()
    else:
        sides = jnp.stack([_factor(transform, draws) for _ in 'xy']) * transform.size
    return view.resized(jnp.round(sides))


def _factor(transform: geometry.RandomResize, draws: Draws) -> jax.Array:
    low, high = transform.scale
    if transform.step is None:
        return draws.uniform(low, high)
    return low + transform.step * draws.integer(0, round((high - low) / transform.step))


def _crop(transform: geometry.RandomCrop, view: View, _: Subject, draws: Draws) -> View:
    room = jnp.maximum(0, view.sides - transform.size)
    corner = jnp.stack([draws.integer(0, room[i]) for i in (0, 1)])
    sides = jnp.minimum(view.sides, transform.size)
    return view.then(jnp.eye(2), corner.astype(jnp.float32), sides)


def _rotate(transform: geometry.RandomRotation, view: View, _: Subject, draws: Draws) -> View:
    angle = _angle(transform.degrees, draws)
    aspect = view.sides.max() / view.sides.min()
    matrix = _rotation(angle) / (jnp.cos(angle) + aspect * jnp.abs(jnp.sin(angle)))
    centre = view.sides / 2
    return view.then(matrix, centre - _multiply(matrix, centre[:, None])[:, 0], view.sides)


def _close_up(transform: close_ups.CloseUp, view: View, subject: Subject, draws: Draws) -> View:
    """Shows the head; it comes first, when the view is still the stored photo."""
    person = subject.person
    tall = draws.log_uniform(*transform.scale) * person.length
    wide = tall * draws.log_uniform(*transform.aspect)
    top = person.crown - draws.uniform(0, close_ups.ABOVE) * tall
    left = person.head + draws.uniform(-close_ups.BESIDE, close_ups.BESIDE) * wide - wide / 2
    start, extent = jnp.stack([left, top]), jnp.stack([wide, tall])
    least = close_ups.LEAST
    low = jnp.clip(jnp.round(start), 0, jnp.maximum(0, view.sides - least))
    high = jnp.minimum(view.sides, jnp.maximum(jnp.round(start + extent), low + least))
    near = view.then(jnp.eye(2), low, high - low)._replace(low=low, high=high)
    return choose(person.length > 0, near, view)


def _affine(transform: geometry.RandomAffine, view: View, subject: Subject, draws: Draws) -> View:
    size, sides = transform.size, view.sides
    shown = jnp.full(2, sides.min()) if transform.keep_aspect else sides
    scale = draws.log_uniform(*transform.scale)
    angle = _angle(transform.degrees, draws)
    across, down = draws.uniforms(-transform.shear, transform.shear, 2)
    shear = jnp.eye(2).at[0, 1].set(across).at[1, 0].set(down)
    matrix = (shown / scale / size)[:, None] * _multiply(_rotation(angle), shear)

    starts, ends = subject.closed_sides(view)
    # Half the width and height of the square's bounding box in the picture.
    reach = jnp.abs(matrix).sum(1) * size / 2
    excess = jnp.maximum(1, jnp.where(starts & ends, 2 * reach / sides, 0).max())
    matrix, reach = matrix / excess, reach / excess
    least = jnp.where(starts, reach, jnp.minimum(reach, sides - reach))
    most = jnp.where(ends, sides - reach, jnp.maximum(reach, sides - reach))
    centre = least + draws.uniforms(0, 1, 2) * (most - least)
    return view.then(matrix, centre - matrix.sum(1) * size / 2, jnp.full(2, float(size)))


MOVES: dict[type, Move] = {
    geometry.Flip: _flip,
    geometry.RandomResize: _resize,
    geometry.RandomCrop: _crop,
    geometry.RandomRotation: _rotate,
    close_ups.CloseUp: _close_up,
    geometry.RandomAffine: _affine,
}


def choose(condition: jax.Array | bool, chosen: Any, otherwise: Any) -> Any:
    """Chooses between two trees of arrays of the same shapes."""
    return jax.tree.map(lambda one, other: jnp.where(condition, one, other), chosen, otherwise)


def _angle(degrees: float, draws: Draws) -> jax.Array:
    return draws.uniform(-math.radians(degrees), math.radians(degrees))


def _rotation(angle: jax.Array) -> jax.Array:
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cosine, sine]), jnp.stack([-sine, cosine])])


def _multiply(one: jax.Array, other: jax.Array) -> jax.Array:
    """A product of matrices in full precision, which accelerators do not take of themselves."""
    return jnp.matmul(one, other, precision=jax.lax.Precision.HIGHEST)
