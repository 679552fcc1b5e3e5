"""Trains a network, or goes on with a training that was stopped.

  mattingjax train --config configs/smoke.py --workdir runs/smoke
  mattingjax train --config configs/mmnet.py --workdir runs/mmnet --config.dataset.root=DIR

The folder gets best/ and last/, which are checkpoints like any other; metrics.csv, curves.png and
mattes.png; and states/, from which the same command resumes a training that was stopped or killed.
Ctrl-C (exit status
130) and SIGTERM (143) save after the step and stop; a second Ctrl-C, or one before the first step,
stops at once. The step is compiled first, once, which takes a minute or two.

Several processes, each with GPUs, TPUs or a CPU of its own, train one network together:

  mattingjax train --config FILE --workdir DIR --coordinator=HOST:PORT --processes=2 --process_id=0

and on another host the same with --process_id=1; under Slurm, Open MPI, Kubernetes and on TPU pods
--coordinator=auto is enough. DIR is one folder that all of them see.
"""

from pathlib import Path

from absl import flags

from mattingjax.config.files import define_config
from mattingjax.process import command_line

_CONFIG = define_config(
    'Settings: a file such as configs/mmnet.py, or the name of one there; '
    '--config.batch_size=16 changes one.'
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the training.', required=True)
_COORDINATOR = flags.DEFINE_string(
    'coordinator',
    None,
    'Address of the first of several processes, HOST:PORT, or auto: found, with the other two, '
    'from Slurm, Open MPI, Kubernetes or a TPU pod. Default: this process trains alone.',
)
_PROCESSES = flags.DEFINE_integer('processes', None, 'Number of the processes that train together.')
_PROCESS_ID = flags.DEFINE_integer(
    'process_id', None, 'Number of this process, from 0; 0 is the coordinator.'
)
command_line.define_compilation_cache()


def main() -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.errors import MattingError
    from mattingjax.process import hosts
    from mattingjax.process.memory import keep_freed_memory
    from mattingjax.training import describe_end, train

    keep_freed_memory()
    if _CONFIG.value is None:
        raise MattingError('--config: a file of settings is needed, such as configs/smoke.py')
    hosts.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS_ID.value)
    outcome = train(_CONFIG.value, _WORKDIR.value, own_process=True)
    if hosts.is_first():
        print(describe_end(Path(_WORKDIR.value), outcome))
    return 0 if outcome.stopped_by is None else 128 + outcome.stopped_by
