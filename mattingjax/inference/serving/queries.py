"""The queries of requests, and what they ask for."""

from __future__ import annotations

from typing import ClassVar, Literal

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from mattingjax.errors import ImageError, one_line
from mattingjax.images.compositing import Background, parse_colour
from mattingjax.inference.outputs import Outputs
from mattingjax.inference.serving.networks import Networks

_COLOUR = 'A colour as CSS writes it: white, 00b140, rgb(0,177,64)'


# Of each kind; alphas would be changed by the others.
_FORMATS = {'alpha': ('png',), 'cutout': ('png', 'webp'), 'composite': ('png', 'webp', 'jpg')}


class _Query(BaseModel):
    """What both queries have.

    Attributes:
      words: What a background may be but a colour.
    """

    model_config = ConfigDict(extra='forbid')  # a name with a typing error would do nothing
    words: ClassVar[tuple[str, ...]] = ()

    kind: Literal['alpha', 'cutout', 'composite'] | None = Field(
        None, description='Default: composite where there is a background, else cutout.'
    )
    background: str | None = Field(None, description=f'{_COLOUR}. Makes a composite.')
    network: str | None = Field(None, description='One of /networks. Default: the first of them.')

    @property
    def may_get_picture(self) -> bool:
        """Whether the background may come with the body, as a picture."""
        return self.background is None and self.kind in (None, 'composite')

    def choose(self, *, has_picture: bool) -> tuple[str, str | None]:
        """The kind that is asked for, and the background, unless that is the picture.

        Args:
          has_picture: Whether the background came with the body.

        Raises:
          HTTPException: The query contradicts itself.
        """
        background = self.background
        if background is not None and has_picture:
            raise HTTPException(422, 'background: expected a colour or a picture, got both')
        if background is not None and background not in self.words:
            background = read_colour(background)
        is_there = has_picture or background is not None
        kind = self.kind or ('composite' if is_there else 'cutout')
        if is_there and kind != 'composite':
            raise HTTPException(422, f'background: expected the kind composite, got {kind}')
        if kind == 'composite' and not is_there:
            raise HTTPException(422, 'background: a composite needs one, got none')
        return kind, background


class MatteQuery(_Query):
    """The query of POST /matte."""

    format: Literal['png', 'webp', 'jpg'] = Field(
        'png', description='Alphas are png, cut-outs png or webp, composites any.'
    )
    foreground: bool = Field(
        True, description='Estimate foreground colours, so that hair carries no old background.'
    )
    refine: bool = Field(False, description="Draw edges anew at the photo's own resolution.")

    def check(self) -> None:
        """Raises HTTPException if the query contradicts itself, whatever comes with it."""
        if not self.may_get_picture:
            self.outputs(None)

    def outputs(self, picture: Background | None) -> Outputs:
        """The picture that is asked for.

        Args:
          picture: The background, where it came as a picture.

        Raises:
          HTTPException: The query contradicts itself.
        """
        kind, colour = self.choose(has_picture=picture is not None)
        if self.format not in _FORMATS[kind]:
            expected = ' or '.join(_FORMATS[kind])
            raise HTTPException(
                422, f'format: expected {expected} for the kind {kind}, got {self.format}'
            )
        background = picture if colour is None else Background(colour)
        return Outputs(
            (kind,), background, foreground=self.foreground, refine=self.refine, format=self.format
        )


class VideoQuery(_Query):
    """The query of POST /video."""

    words: ClassVar[tuple[str, ...]] = ('blur',)

    background: str | None = Field(
        None, description=f"{_COLOUR}; or blur, for the clip's own, blurred. Makes a composite."
    )
    format: Literal['mp4', 'webm'] | None = Field(
        None, description='Default: webm for cut-outs, which mp4 cannot hold, else mp4.'
    )

    def check(self) -> None:
        """As that of `MatteQuery`."""
        if not self.may_get_picture:
            self.clip(None)

    def clip(self, picture: bytes | None) -> tuple[str, str | bytes | None, str]:
        """What is asked for.

        Args:
          picture: The background, where it came as a picture.

        Returns:
          The kind; the background, a colour, 'blur', a picture or None; and the format.

        Raises:
          HTTPException: The query contradicts itself.
        """
        kind, background = self.choose(has_picture=picture is not None)
        form = self.format or ('webm' if kind == 'cutout' else 'mp4')
        if (kind, form) == ('cutout', 'mp4'):
            raise HTTPException(422, 'format: expected webm for the kind cutout, got mp4')
        return kind, picture if background is None else background, form


def read_colour(text: str) -> str:
    """The colour that a query names, as `Background` takes it: never a path.

    Args:
      text: A colour; '#', which begins a fragment in addresses, may be left out.

    Raises:
      HTTPException: It is no colour.
    """
    try:
        for colour in (text, f'#{text}'):
            if parse_colour(colour) is not None:
                return colour
    except ImageError as error:
        raise HTTPException(422, f'background: {error}') from error
    raise HTTPException(
        422, f'background: expected a colour such as white, 00b140 or rgb(0,177,64), got {text!r}'
    )


def find_network(name: str | None, networks: Networks) -> str:
    """The name of the network that a query asks for.

    Raises:
      HTTPException: There is none of that name.
    """
    if name is None:
        return networks.default
    if name not in networks:
        known = ', '.join(networks)
        raise HTTPException(422, one_line(f'network: expected one of {known}, got {name!r}'))
    return name
