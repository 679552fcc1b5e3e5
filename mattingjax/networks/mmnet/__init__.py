"""MMNet: its module, channels and loss, gathered in the record `MMNET`."""

from mattingjax.networks.mmnet.channels import walk_mmnet
from mattingjax.networks.mmnet.loss import mmnet_loss
from mattingjax.networks.mmnet.module import EPSILON, MMNet, MMNetConfig
from mattingjax.networks.network import Network, Preprocessing

MMNET = Network(
    name='mmnet',
    architecture=MMNetConfig,
    module=MMNet,
    input_size=256,
    preprocessing=Preprocessing((0.0,) * 3, (255.0,) * 3, 'exact', 16),
    epsilon=EPSILON,
    last_layer='final_block',
    walk=walk_mmnet,
    loss=mmnet_loss,
    loss_options=('divide_twice',),
    scaling_layer='init_block/conv',
    scale=MMNetConfig.from_multiplier,
    transform='mmnet',
    l2=4e-7,
)

__all__ = ['MMNET', 'MMNet', 'MMNetConfig']
