"""Trains the Mobile DeepLabv3 of the comparison from MODNet's backbone, as MMNet's last stage.

mattingjax import-weights --source modnet_photographic.onnx --network deeplab --output START
mattingjax train --config configs/release_deeplab.py --workdir runs/deeplab \
    --config.model.checkpoint=START --config.data.backgrounds=PACK/backgrounds \
    --config.dataset.root=PACK/ccp --config.more_datasets.unlabelled.root=PACK/unlabelled \
    --config.more_datasets.drawn.root=PACK/drawn --config.more_datasets.people.root=PACK/people \
    --config.more_datasets.portraits.root=PACK/portraits --config.validation.root=DIR
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
