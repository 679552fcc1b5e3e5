"""What this project raises for bad input: one clear line that names the value."""

from __future__ import annotations


class MattingError(ValueError):
    """Bad input; the message is one line: what came, from where, what was expected."""


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
