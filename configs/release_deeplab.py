"""Trains the Mobile DeepLabv3 that ships from MODNet's backbone, as the last stage of MMNet.

mattingjax train --config configs/release_deeplab.py --workdir runs/deeplab \
    --config.model.checkpoint=START --config.data.backgrounds=PACK/backgrounds \
    --config.dataset.root=PACK/ccp --config.more_datasets.unlabelled.root=PACK/unlabelled \
    --config.more_datasets.drawn.root=PACK/drawn --config.more_datasets.people.root=PACK/people \
    --config.more_datasets.portraits.root=PACK/portraits --config.validation.root=DIR

START is MODNet's backbone with a random head:

mattingjax import-weights --source modnet_photographic.onnx --network deeplab --output START

Then once more from what it leaves, with --config.seed=403 --config.steps=2000 and
--config.optimizer.learning_rate=1.5e-3; the mean of the first (one part) and the second (two), with
a temperature, ships as `deeplab`. Of it
scripts/benchmark_weights.py prints a mean absolute difference of 1.65 hundredths on composites of
head shots and 2.60 on street photos at 320 pixels; mattingjax/weights/deeplab/README.md tells more.
"""

from ml_collections import ConfigDict

from mattingjax.config.files import load_config_file


def get_config() -> ConfigDict:
    config = load_config_file('release_mmnet:people')
    config.model.network = 'deeplab'
    config.seed = 401
    config.steps = 3_600
    config.optimizer.warmup_steps = 100
    return config
