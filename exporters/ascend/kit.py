"""What Ascend's ATC needs beside a frozen graph: a script, a camera configuration, a README.

Facts about ATC: its guide, https://gitcode.com/cann/ge under docs/zh/user_guides/atc_tools, and
https://www.hiascend.com/document/detail/en/canncommercial/800/devaids/atc/. It was never run here.
"""

from __future__ import annotations

import re
import shutil
import string
from pathlib import Path

from mattingjax.errors import MattingError
from mattingjax.files import current_umask, write_file
from mattingjax.networks import Preprocessing
from mattingjax.process.interrupts import run_program

SCRIPT_FILE = 'atc.sh'
AIPP_FILE = 'aipp.cfg'
README_FILE = 'README.md'
OM_FILE = 'model.om'
# The widths and heights in pixels that AIPP takes.
_AIPP_WIDTHS, _AIPP_HEIGHTS = (2, 4096), (1, 4096)


_SCALING = {
    True: 'The graph scales its input, 0 to 255, itself; AIPP leaves pixels as they are.',
    False: 'The graph takes normalised input, and AIPP makes it of pixels: convert with --aipp.',
}


class _Template(string.Template):
    """%{name} is replaced: $ is the shell's."""

    delimiter = '%'


_SCRIPT = _Template(r"""#!/usr/bin/env bash
# Converts %{pb_name} with Ascend's ATC to %{om_name}; README.md beside this file says more.
set -euo pipefail

fail() {
    echo 'usage: atc.sh SOC_VERSION [fp16|fp32|mixed] [--aipp], as in: atc.sh Ascend310P3' >&2
    echo "atc.sh: $1" >&2
    exit 2
}

soc_version=${1:-}
[[ $soc_version =~ ^[A-Za-z][A-Za-z0-9_]*$ ]] ||
    fail "expected an SOC_VERSION as the first argument, got '$soc_version'"
shift

precision_mode=force_fp16
aipp=
for argument in "$@"; do
    case $argument in
    fp16) precision_mode=force_fp16 ;;
    fp32) precision_mode=must_keep_origin_dtype ;;
    mixed) precision_mode=allow_fp32_to_fp16 ;;
    --aipp) aipp=--insert_op_conf=%{aipp_name} ;;
    *) fail "unknown argument '$argument'" ;;
    esac
done

if ! command -v atc >/dev/null; then
    echo 'atc.sh: atc is not on PATH: install CANN and source its set_env.sh' >&2
    exit 127
fi

# ATC takes few characters in paths; from inside this folder its name does not matter.
cd "$(dirname "${BASH_SOURCE[0]}")"

# Fusion is on: --fusion_switch_file would only switch rules off.
exec atc \
    --framework=3 \
    --model=%{pb_name} \
    --output=%{om_stem} \
    --input_format=NHWC \
    --input_shape="%{input_name}:%{shape}" \
    --out_nodes="%{output_name}:0" \
    --soc_version="$soc_version" \
    --precision_mode="$precision_mode" \
    ${aipp:+"$aipp"}
""")

_AIPP = _Template("""# Static AIPP: the model takes uint8 RGB pixels, as a camera gives them.
# bash atc.sh SOC_VERSION --aipp builds it in.
aipp_op {
    aipp_mode: static
    related_input_rank: 0
    input_format: RGB888_U8
    src_image_size_w: %{width}
    src_image_size_h: %{height}
    crop: false
    csc_switch: false
    rbuv_swap_switch: false

    # For a camera with NV12 frames (YUV420SP; even width and height), these lines instead of
    # input_format, csc_switch and rbuv_swap_switch above. The numbers are for BT.601 of limited
    # range; full range (JPEG) has 256 0 359, 256 -88 -183, 256 454 0 and an input_bias_0 of 0.
    #   input_format: YUV420SP_U8
    #   csc_switch: true
    #   rbuv_swap_switch: false  # true: NV21
    #   matrix_r0c0: 298  matrix_r0c1: 0     matrix_r0c2: 409
    #   matrix_r1c0: 298  matrix_r1c1: -100  matrix_r1c2: -208
    #   matrix_r2c0: 298  matrix_r2c1: 516   matrix_r2c2: 0
    #   input_bias_0: 16  input_bias_1: 128  input_bias_2: 128

    # float16 output = (pixel - mean_chn - min_chn) * var_reci_chn.
    # %{scaling}
    mean_chn_0: 0
    mean_chn_1: 0
    mean_chn_2: 0
%{channels}
}
""")

_README = _Template("""# Ascend kit

| file | what it is |
| --- | --- |
| `%{pb_name}` | the frozen graph: input `%{input_name}`, RGB float32 [%{dimensions}]; output \
`%{output_name}`, alpha in [0, 1] |
| `atc.sh` | converts it with ATC to `%{om_name}` |
| `aipp.cfg` | lets the model take uint8 pixels; `atc.sh ... --aipp` builds it in |

%{scaling}

## Convert

Where CANN is installed and its `set_env.sh` sourced (a card is not needed):

    bash atc.sh SOC_VERSION [fp16|fp32|mixed] [--aipp]

`SOC_VERSION` is the chip that the model will run on: `Ascend` and the Name that `npu-smi info`
prints there, say `Ascend310P3`.

- `fp16` (the default): `--precision_mode=force_fp16`.
- `fp32`: `must_keep_origin_dtype`. ATC's documentation lists no float32 convolution for the AI Core
  of Atlas inference products (310P), so expect an error there.
- `mixed`: `allow_fp32_to_fp16`, convolutions in float16 and the rest in float32.

With `--aipp` the model takes uint8 [%{dimensions}] and AIPP computes in float16; without it, the
float32 input of the graph.

## Run and evaluate

[msame](https://gitee.com/ascend/tools/tree/master/msame) on the device, and around it this
project's tools, which run the graph itself where there is no card (`--help` tells their flags):

    python -m exporters.bins prepare --artefact %{pb_name} --images PHOTOS \\
      --alphas MATTES --output BINS
    ./msame --model %{om_name} --input BINS/images --output OUTPUTS
    python -m exporters.bins run --model %{pb_name} --input BINS/images --output OUTPUTS
    python -m exporters.bins evaluate --output OUTPUTS --index BINS

## What has been tried

`atc.sh` with a stand-in for ATC that records its arguments; the graph in TensorFlow and against a
list of the operators that ATC is documented to take. ATC, `aipp.cfg` and the converted model have
never been run: there was no CANN and no card.
""")


def write_ascend_kit(
    folder: Path,
    *,
    pb_name: str,
    input_name: str,
    input_shape: tuple[int, int, int, int],
    output_name: str,
    preprocessing: Preprocessing,
    scaling_inside: bool,
) -> list[Path]:
    """Writes `atc.sh`, `aipp.cfg` and `README.md` beside a frozen graph.

    Args:
      folder: Where the graph is.
      pb_name: File name of the graph.
      input_name: Its placeholder.
      input_shape: [N, H, W, 3] in pixels.
      output_name: Its last node.
      preprocessing: The network's; AIPP does it where the graph does not.
      scaling_inside: Whether the graph normalises its input, which is in [0, 255] then. AIPP must
        not do it again.

    Returns:
      The files.

    Raises:
      MattingError: A name that ATC or a shell would not take, or a size or mean that AIPP cannot
        have.
      OutputError: A file cannot be written.
    """
    _, height, width, _ = input_shape
    _check_names(pb_name, input_name, output_name)
    check_kit_size(height, width)
    values = {
        'pb_name': pb_name,
        'om_name': OM_FILE,
        'om_stem': Path(OM_FILE).stem,
        'aipp_name': AIPP_FILE,
        'input_name': input_name,
        'output_name': output_name,
        'shape': ','.join(map(str, input_shape)),
        'dimensions': ', '.join(map(str, input_shape)),
        'height': str(height),
        'width': str(width),
        'scaling': _SCALING[scaling_inside],
        'channels': _aipp_channels(preprocessing, scaling_inside),
    }
    templates = {AIPP_FILE: _AIPP, README_FILE: _README, SCRIPT_FILE: _SCRIPT}
    contents = {name: template.substitute(values) for name, template in templates.items()}
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
    """Raises MattingError unless AIPP takes images of that size."""
    limits = (('width', width, _AIPP_WIDTHS), ('height', height, _AIPP_HEIGHTS))
    for name, size, (lowest, highest) in limits:
        if not lowest <= size <= highest:
            raise MattingError(
                f'Ascend kit: expected a {name} of {lowest} to {highest} pixels, which is what '
                f'AIPP takes, got {size}'
            )


def _aipp_channels(preprocessing: Preprocessing, scaling_inside: bool) -> str:
    """The lines of `aipp.cfg` with what is subtracted from each channel and multiplied."""
    means = [0.0 if scaling_inside else mean for mean in preprocessing.mean]
    factors = [1.0 if scaling_inside else 1 / std for std in preprocessing.std]
    if not all(0 <= mean <= 255 for mean in means):
        raise MattingError(
            'Ascend kit: preprocessing.mean: expected values of 0 to 255, which is what AIPP '
            f'subtracts, got {means}'
        )
    # min_chn, a float, takes the mean: mean_chn is a whole number.
    lines = [f'    min_chn_{i}: {mean}' for i, mean in enumerate(means)]
    lines += [f'    var_reci_chn_{i}: {factor}' for i, factor in enumerate(factors)]
    return '\n'.join(lines)


def find_atc() -> str | None:
    """The path of the program `atc`, or None if it is not on PATH."""
    return shutil.which('atc')


def run_atc(folder: Path, soc_version: str, precision: str = 'fp16') -> Path:
    """Converts the graph of a kit; takes minutes.

    Args:
      folder: Where `write_ascend_kit` wrote.
      soc_version: The chip, say 'Ascend310P3'.
      precision: 'fp16', 'fp32' or 'mixed'.

    Returns:
      The path of the .om file.

    Raises:
      MattingError: ATC is missing or failed; the last line of its output is given.
    """
    om = folder / OM_FILE
    om.unlink(missing_ok=True)  # one of an earlier run must not pass for this run's
    result = run_program(['bash', str(folder / SCRIPT_FILE), soc_version, precision])
    lines = result.stdout.strip().splitlines() or ['it said nothing']
    if result.returncode:
        raise MattingError(f'{folder / SCRIPT_FILE}: failed: {lines[-1].strip()}')
    if not om.is_file():
        raise MattingError(f'{om}: ATC did not write it; its last line: {lines[-1].strip()}')
    return om
