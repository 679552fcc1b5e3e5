"""What training makes small: pure functions of JAX arrays, computed in float32."""

from mattingjax.losses.distillation import (
    DISTILLATION_WEIGHTS,
    attention_transfer_loss,
    distillation_loss,
)
from mattingjax.losses.mmnet import (
    MMNET_WEIGHTS,
    aux_loss,
    dense_kernels,
    kd_loss,
    l2_regularization,
    mmnet_loss,
)
from mattingjax.losses.modnet import (
    MODNET_WEIGHTS,
    SOC_WEIGHTS,
    detail_loss,
    matte_loss,
    modnet_loss,
    semantic_loss,
    soc_loss,
)
from mattingjax.losses.pixelwise import alpha_loss, composition_loss, gradient_loss

__all__ = [
    'DISTILLATION_WEIGHTS',
    'MMNET_WEIGHTS',
    'MODNET_WEIGHTS',
    'SOC_WEIGHTS',
    'alpha_loss',
    'attention_transfer_loss',
    'aux_loss',
    'composition_loss',
    'dense_kernels',
    'detail_loss',
    'distillation_loss',
    'gradient_loss',
    'kd_loss',
    'l2_regularization',
    'matte_loss',
    'mmnet_loss',
    'modnet_loss',
    'semantic_loss',
    'soc_loss',
]
