"""What this project raises for bad input: one clear line that names the value."""

from __future__ import annotations


class MattingError(ValueError):
    """Bad input; the message is one line: what came, from where, what was expected.

    A name out of a hostile file may hold line breaks or a terminal's control characters: they are
    escaped.
    """

    def __init__(self, message: str):
        characters = (c if c.isprintable() else repr(c)[1:-1] for c in message)
        super().__init__(''.join(characters))


class ImageError(MattingError):
    """A photo that cannot be read, or that no matte can be made of."""


class OutputError(MattingError):
    """A result that cannot be written."""


class ConfigError(MattingError):
    """An architecture or checkpoint configuration with an impossible value."""


class CheckpointError(MattingError):
    """A checkpoint directory that is missing, incomplete or contradicts its config."""


class WeightsError(MattingError):
    """A file of foreign weights that is damaged, unsafe or of another network."""


class ArtefactError(MattingError):
    """An exported network that is missing, damaged or not what was asked for."""
