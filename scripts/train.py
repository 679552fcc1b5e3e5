"""Trains a network, or goes on with a training that was stopped.

  python scripts/train.py --config configs/smoke.py --workdir runs/smoke
  python scripts/train.py --config configs/mmnet.py --workdir runs/mmnet --config.dataset.root=DIR

The folder gets best/ and last/, checkpoints like any other; metrics.csv and curves.png; mattes.png;
and states/, from which the same command goes on after it was killed. SIGTERM saves and stops, with
exit status 143.
"""

from absl import flags

from mattingjax import command_line
from mattingjax.config_files import define_config

_CONFIG = define_config(
    'Settings: a file such as configs/mmnet.py, or the name of one there; '
    '--config.batch_size=16 changes one.'
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the training.', required=True)
command_line.define_compilation_cache()


def main() -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from pathlib import Path

    from mattingjax.errors import MattingError
    from mattingjax.training import train
    from mattingjax.training.memory import keep_freed_memory

    keep_freed_memory()
    if _CONFIG.value is None:
        raise MattingError('--config: a file of settings is needed, such as configs/smoke.py')
    workdir = Path(_WORKDIR.value)
    is_finished = train(_CONFIG.value, workdir)
    print(f'{workdir}: {"finished" if is_finished else "stopped; the same command goes on"}')
    return 0 if is_finished else 143


if __name__ == '__main__':
    command_line.run(main)
