"""The flags of commands that matte photos: which pictures are made of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    from mattingjax.inference.outputs import Outputs

flags.disclaim_key_flags()  # flags defined here are listed in the --help of their callers


class Pictures:
    """Defines --outputs, --background, --foreground, --refine and --format.

    Args:
      default: What the help says of the default of --outputs.
    """

    def __init__(self, default: str) -> None:
        self._kinds = flags.DEFINE_list(
            'outputs', None, f'Which of alpha, cutout, composite, panel. Default: {default}'
        )
        self._background = flags.DEFINE_string(
            'background', None, "A colour ('white', '#00b140') or a picture; makes composites too."
        )
        self._foreground = flags.DEFINE_bool(
            'foreground',
            True,
            'Estimate foreground colours, so that hair carries no old background.',
        )
        self._refine = flags.DEFINE_bool(
            'refine', False, "Draw edges anew at the photo's own resolution, from its colours."
        )
        self._format = flags.DEFINE_string(
            'format',
            'png',
            'Format of cut-outs and composites: png, webp, or jpg for composites alone.',
        )

    def load(self, default: Callable[[bool], list[str]]) -> Outputs:
        """What the flags ask for.

        Args:
          default: Gives the kinds where --outputs does not, from whether there is a background.

        Raises:
          MattingError: One of the flags is impossible.
        """
        from mattingjax.images.compositing import Background
        from mattingjax.inference.outputs import Outputs

        name = self._background.value
        background = None if name is None else Background(name)
        kinds = self._kinds.value
        return Outputs(
            tuple(default(background is not None) if kinds is None else kinds),
            background,
            foreground=self._foreground.value,
            refine=self._refine.value,
            format=self._format.value,
        )
