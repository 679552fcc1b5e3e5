"""The errors that this project raises for bad input: one clear line that names the value."""

from __future__ import annotations

from collections.abc import Iterable

MAX_LINE = 300  # characters of a line for people, whatever is in it
_READ = 4  # only so many times the shown length is looked at: a message may have megabytes
_SHORTEST_WORD = 60  # long words are cut to this before the line itself is cut


class MattingError(ValueError):
    """Bad input; the message is one line: what was found, where, and what was expected.

    `one_line` makes it harmless: a name from a hostile file may hold line breaks, a terminal's
    control characters or megabytes.
    """

    max_length = MAX_LINE - len('skipped: ')  # the longest prefix of a message

    def __init__(self, message: str):
        super().__init__(one_line(message, self.max_length))


class ImageError(MattingError):
    """A photo that cannot be read, or of which no matte can be made."""


class UnknownFormatError(ImageError):
    """What was given as a photo is no picture in a known format."""


class TooLargeError(ImageError):
    """A picture with more pixels than are decoded."""


class VideoError(MattingError):
    """A video or a camera that cannot be read, or not in the way that was asked for."""


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


def missing_package(what: str, package: str, extra: str, otherwise: str = '') -> ImportError:
    """The error for a missing package that one of this project's extras installs.

    Args:
      what: What needs the package, such as a file or a setting.
      package: The package that is not installed.
      extra: The extra that installs it.
      otherwise: What can be done instead, if anything.
    """
    instead = f', or {otherwise}' if otherwise else ''
    return ImportError(
        f"{what} needs the package {package}: pip install 'mattingjax[{extra}]'{instead}",
        name=package,
    )


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """A text of any length and content as one line that a terminal shows as it is.

    What cannot be printed (line breaks, control characters, characters that turn the direction of
    writing, bytes of a file's name that are no text) is escaped. If the line is too long, first
    its longest words lose their middle, so that both ends of a path stay; only then the line does.
    What is far too long loses its middle at once.

    Args:
      text: The text.
      limit: The most characters that the line may have.
    """
    text = _without_middle(text, _READ * limit)
    if not text.isprintable():
        text = ''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if len(text) <= limit:
        return text
    words = [_without_middle(word, limit) for word in text.split(' ')]
    lengths = [len(word) for word in words]
    longest = limit
    while longest > _SHORTEST_WORD and (
        sum(min(length, longest) for length in lengths) + len(words) - 1 > limit
    ):
        longest -= 1
    return _without_middle(' '.join(_without_middle(word, longest) for word in words), limit)


def list_some(items: Iterable[object], limit: int = 3) -> str:
    """Lists the first items of many in a message: 'a, b, c and 5 more'.

    Args:
      items: The items; their texts are listed.
      limit: How many are named.
    """
    names = [str(item) for item in items]
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def unwrapped(text: str) -> str:
    """A message of another library, of any length, without its line breaks and indentation."""
    return ' '.join(_without_middle(text, _READ * MAX_LINE).split())


def error_line(message: str) -> str:
    """The line with which a command fails, of a message of any length and content."""
    return one_line(f'error: {unwrapped(message)}')


def _without_middle(text: str, limit: int) -> str:
    """At most `limit` characters of a text: its beginning and its end, an ellipsis between."""
    if len(text) <= limit:
        return text
    tail = limit // 2
    return f'{text[: limit - tail - 1]}…{text[-tail:]}'
