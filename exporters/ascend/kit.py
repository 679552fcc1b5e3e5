"""What Ascend's ATC needs beside a frozen graph: a script, a camera configuration, a README.

The folder `templates` holds the three files, in which %{name} stands for a value.

Facts about ATC: its guide, https://gitcode.com/cann/ge under docs/zh/user_guides/atc_tools, and
https://www.hiascend.com/document/detail/en/canncommercial/800/devaids/atc/. It was never run here.
"""

from __future__ import annotations

import re
import shutil
import string
from pathlib import Path

from mattingjax.errors import MattingError
from mattingjax.inference.signature import Signature
from mattingjax.process.files import current_umask, write_file
from mattingjax.process.interrupts import run_program

SCRIPT_FILE = 'atc.sh'
AIPP_FILE = 'aipp.cfg'
README_FILE = 'README.md'
OM_FILE = 'model.om'
_TEMPLATES = Path(__file__).with_name('templates')
# The widths and heights in pixels that AIPP takes.
_AIPP_WIDTHS, _AIPP_HEIGHTS = (2, 4096), (1, 4096)
_SCALING = {
    True: 'The graph scales its input, 0 to 255, itself; AIPP leaves pixels as they are.',
    False: 'The graph takes normalised input, and AIPP makes it of pixels: convert with --aipp.',
}


class _Template(string.Template):
    """Replaces %{name}: $ belongs to the shell."""

    delimiter = '%'


def write_ascend_kit(folder: Path, pb_name: str, signature: Signature) -> list[Path]:
    """Writes `atc.sh`, `aipp.cfg` and `README.md` beside a frozen graph.

    Args:
      folder: The folder of the graph.
      pb_name: The graph's file name.
      signature: How the graph is fed, of static shape. What it leaves to be done to pixels, AIPP
        does; what the graph does itself, AIPP must not do again.

    Returns:
      The files.

    Raises:
      MattingError: ATC or a shell would not take a name, or AIPP a size or mean.
      OutputError: A file cannot be written.
    """
    _, height, width, _ = signature.shape
    _check_names(pb_name, signature.input_name, signature.output_name)
    check_kit_size(height, width)
    values = {
        'pb_name': pb_name,
        'om_name': OM_FILE,
        'om_stem': Path(OM_FILE).stem,
        'aipp_name': AIPP_FILE,
        'input_name': signature.input_name,
        'output_name': signature.output_name,
        'shape': ','.join(map(str, signature.shape)),
        'dimensions': ', '.join(map(str, signature.shape)),
        'height': str(height),
        'width': str(width),
        'scaling': _SCALING[signature.scaling_inside],
        'channels': _aipp_channels(signature),
    }
    contents = {
        name: _Template((_TEMPLATES / name).read_text(encoding='utf-8')).substitute(values)
        for name in (AIPP_FILE, README_FILE, SCRIPT_FILE)
    }
    for name, content in contents.items():
        write_file(folder / name, content.encode())
    (folder / SCRIPT_FILE).chmod(0o777 & ~current_umask())
    return [folder / name for name in contents]


def _check_names(pb_name: str, *node_names: str) -> None:
    if not re.fullmatch(r'[A-Za-z0-9_][A-Za-z0-9_.-]*', pb_name):
        raise MattingError(
            "Ascend kit: expected a file name of letters, digits, '_', '-' and '.', which is what "
            f'ATC takes, got {pb_name!r}'
        )
    for name in node_names:
        if not re.fullmatch(r'[A-Za-z0-9.][A-Za-z0-9_./-]*', name):
            raise MattingError(
                "Ascend kit: expected a node's name of letters, digits, '_', '.', '/' and '-', "
                f'got {name!r}'
            )


def check_kit_size(height: int, width: int) -> None:
    """Raises MattingError unless AIPP takes images of that size in pixels."""
    limits = (('width', width, _AIPP_WIDTHS), ('height', height, _AIPP_HEIGHTS))
    for name, size, (lowest, highest) in limits:
        if not lowest <= size <= highest:
            raise MattingError(
                f'Ascend kit: expected a {name} of {lowest} to {highest} pixels, which is what '
                f'AIPP takes, got {size}'
            )


def _aipp_channels(signature: Signature) -> str:
    """The lines of `aipp.cfg` that normalise each channel."""
    encoding = signature.encoding()
    if not all(0 <= mean <= 255 for mean in encoding.mean):
        raise MattingError(
            'Ascend kit: preprocessing.mean: expected values of 0 to 255, which is what AIPP '
            f'subtracts, got {list(encoding.mean)}'
        )
    # AIPP's mean_chn is a whole number; min_chn, a float, can hold any mean.
    lines = [f'    min_chn_{i}: {mean}' for i, mean in enumerate(encoding.mean)]
    lines += [f'    var_reci_chn_{i}: {1 / std}' for i, std in enumerate(encoding.std)]
    return '\n'.join(lines)


def find_atc() -> str | None:
    """The path of the program `atc`, or None if it is not on PATH."""
    return shutil.which('atc')


def run_atc(folder: Path, soc_version: str) -> Path:
    """Converts the graph of a kit with float16 arithmetic; takes minutes.

    Args:
      folder: The folder that `write_ascend_kit` wrote to.
      soc_version: The chip, such as 'Ascend310P3'.

    Returns:
      The path of the .om file.

    Raises:
      MattingError: ATC is missing or failed; the message ends with the last line of its output.
    """
    om = folder / OM_FILE
    om.unlink(missing_ok=True)  # a file of an earlier run must not pass for this run's
    result = run_program(['bash', str(folder / SCRIPT_FILE), soc_version])
    lines = result.stdout.strip().splitlines() or ['it said nothing']
    if result.returncode:
        raise MattingError(f'{folder / SCRIPT_FILE}: failed: {lines[-1].strip()}')
    if not om.is_file():
        raise MattingError(f'{om}: ATC did not write it; its last line: {lines[-1].strip()}')
    return om
