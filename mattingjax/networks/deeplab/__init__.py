"""Mobile DeepLabv3: its module, channels and loss, gathered in two records.

`DEEPLAB` has the head of the published MobileNetV2, `DEEPLAB_ASPP` atrous branches in it.
"""

import dataclasses

from mattingjax.networks.deeplab.channels import walk_deeplab
from mattingjax.networks.deeplab.loss import deeplab_loss
from mattingjax.networks.deeplab.module import (
    EPSILON,
    OUTPUT_STRIDE,
    DeepLab,
    DeepLabASPPConfig,
    DeepLabConfig,
)
from mattingjax.networks.network import Network, Preprocessing

DEEPLAB = Network(
    name='deeplab',
    architecture=DeepLabConfig,
    module=DeepLab,
    input_size=256,
    preprocessing=Preprocessing((127.5,) * 3, (127.5,) * 3, 'exact', OUTPUT_STRIDE),
    epsilon=EPSILON,
    last_layer='logits',
    walk=walk_deeplab,
    loss=deeplab_loss,
    scale=DeepLabConfig.from_multiplier,
    transform='mmnet',
    l2=4e-7,
)
DEEPLAB_ASPP = dataclasses.replace(
    DEEPLAB,
    name='deeplab_aspp',
    architecture=DeepLabASPPConfig,
    scale=DeepLabASPPConfig.from_multiplier,
)

__all__ = ['DEEPLAB', 'DEEPLAB_ASPP', 'DeepLab', 'DeepLabASPPConfig', 'DeepLabConfig']
