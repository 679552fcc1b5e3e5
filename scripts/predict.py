"""Mattes a photo, a folder of photos, or standard input.

  python scripts/predict.py --input photo.jpg --output out
  python scripts/predict.py --input photos/ --output out --background=white --checkpoint CKPT
  python scripts/predict.py --input - < photo.jpg > cutout.png

For each photo `out` gets NAME_alpha.png, NAME_cutout.png, NAME_panel.png (photo, alpha and cut-out
side by side) and, with --background, NAME_composite.png. In a folder, bad files are reported and
skipped; the exit status is 2 if no photo could be matted.
"""

import sys
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint',
    'modnet_p',
    'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, .pb).',
)
_INPUT = flags.DEFINE_string(
    'input', None, 'A photo, a folder (searched recursively), or - for stdin.', required=True
)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder of the results; not for --input=-.')
_BACKGROUND = flags.DEFINE_string(
    'background', None, "A colour ('white', '#00b140') or a picture; makes composites too."
)
_KINDS = flags.DEFINE_list(
    'outputs',
    None,
    'Which of alpha, cutout, composite, panel. Default: alpha, cutout, panel, and composite with '
    '--background. With --input=- exactly one: cutout, or composite with --background.',
)
_FOREGROUND = flags.DEFINE_bool(
    'foreground', True, 'Estimate foreground colours, so that hair carries no old background.'
)
_RUNTIME = flags.DEFINE_enum(
    'runtime',
    None,
    ['jax', 'openvino', 'onnxruntime', 'tensorflow'],
    'What runs the network: jax for a checkpoint; openvino, onnxruntime or tensorflow for an '
    'artefact. Default: the one that suits it.',
)
_INPUT_SIZE = command_line.define_input_size()
command_line.define_compilation_cache()


def main() -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.errors import MattingError
    from mattingjax.images.compositing import Background
    from mattingjax.inference import create_predictor, folders
    from mattingjax.process.files import check_folder

    source = _INPUT.value
    if source == '-' and _OUTPUT.value:
        raise MattingError('--output: not with --input=-, whose result goes to standard output')
    if source != '-' and not _OUTPUT.value:
        raise MattingError('--output: a folder for the results is needed')
    if source != '-' and not Path(source).exists():
        raise MattingError(f'{source}: no such file or folder')
    if source != '-' and not Path(source).is_file() and not Path(source).is_dir():
        raise MattingError(f'{source}: neither a file nor a folder (streams: --input=-)')
    background = Background(_BACKGROUND.value) if _BACKGROUND.value else None
    kinds = _KINDS.value
    if kinds is None:
        kinds = _default_kinds(source == '-', background is not None)
    outputs = folders.Outputs(tuple(kinds), background, _FOREGROUND.value)
    if source == '-' and len(kinds) != 1:
        raise MattingError(f'--outputs: expected one kind with --input=-, got {",".join(kinds)}')
    if source != '-':
        check_folder(Path(_OUTPUT.value))
    predictor = create_predictor(_CHECKPOINT.value, _RUNTIME.value, input_size=_INPUT_SIZE.value)

    if source == '-':
        (content,) = folders.matte_bytes(predictor, sys.stdin.buffer.read(), outputs).values()
        sys.stdout.buffer.write(content)
        return 0
    target = Path(_OUTPUT.value)
    if Path(source).is_file():
        name = Path(source).stem
        for file in folders.matte_file(predictor, Path(source), target / name, outputs):
            print(file)
        return 0
    summary = folders.matte_folder(predictor, Path(source), target, outputs)
    print(f'{summary.describe()}; results in {target}')
    return 0 if summary.matted else 2


def _default_kinds(one: bool, has_background: bool) -> list[str]:
    if one:
        return ['composite' if has_background else 'cutout']
    return ['alpha', 'cutout', 'panel', *(['composite'] if has_background else [])]


if __name__ == '__main__':
    command_line.run(main)
