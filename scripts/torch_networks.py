"""MODNet and MMNet in PyTorch, to time ours against; parts have the names of our variables.

Nothing but `benchmark_training.py` uses it: PyTorch is no dependency of this package.
"""

from __future__ import annotations

import sys
from typing import Any

if __name__ == '__main__':
    print(__doc__)
    sys.exit()
import torch
from torch import Tensor, nn
from torch.nn import functional

from mattingjax.networks import MMNetConfig, ModelConfig, MODNetConfig, mobilenet_v2
from mattingjax.networks.mmnet import module as mmnet


def create_module(config: ModelConfig, params: dict[str, Any]) -> nn.Module:
    """Makes the network of a configuration, in training mode, with our parameters.

    Args:
      config: The network, one of `MODULES`.
      params: Our `params`, NumPy arrays.
    """
    module = MODULES[config.network](config.architecture)
    _load(module, params)
    return module.train()


def _load(module: nn.Module, params: dict[str, Any]) -> None:
    for name, value in params.items():
        if isinstance(value, dict):
            _load(getattr(module, name), value)
            continue
        tensor = torch.tensor(value)
        if name == 'kernel':
            tensor = tensor.permute(3, 2, 0, 1)
        parameter = module.bias if name == 'bias' else module.weight
        parameter.data.copy_(tensor)


def enlarge(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


def shrink(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(x, scale_factor=1 / factor, mode='bilinear', align_corners=False)


def enlarge_legacy(x: Tensor) -> Tensor:
    """Doubles a map as TensorFlow 1 does: with aligned corners, once its border is repeated."""
    height, width = x.shape[2:]
    x = functional.pad(x, (0, 1, 0, 1), mode='replicate')
    x = functional.interpolate(
        x, (2 * height + 1, 2 * width + 1), mode='bilinear', align_corners=True
    )
    return x[:, :, :-1, :-1]


class ConvBN(nn.Module):
    def __init__(
        self, inputs, features, epsilon, momentum, size=1, stride=1, dilation=1,
        depthwise=False, linear=False, same=False,
    ):  # fmt: skip
        super().__init__()
        # TensorFlow pads an even size at the end only where the stride is 2.
        self.pad = (0, 1, 0, 1) if same and stride == 2 else None
        padding = 0 if self.pad else dilation * (size // 2)
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, features, size, stride, padding, dilation, groups, bias=False)
        self.bn = nn.BatchNorm2d(features, epsilon, 1 - momentum)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(functional.pad(x, self.pad) if self.pad else x))
        return x if self.linear else functional.relu6(x, inplace=True)


class ConvIBNormReLU(nn.Module):
    def __init__(self, inputs, features, size=3, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, features, size, stride, size // 2)
        self.bn = nn.BatchNorm2d(features // 2)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.conv(x).tensor_split([self.bn.num_features], 1)
        return functional.relu(
            torch.cat([self.bn(first), functional.instance_norm(second)], 1), inplace=True
        )


class InvertedResidual(nn.Module):
    def __init__(self, inputs, config, stride):
        super().__init__()
        numbers = mobilenet_v2.EPSILON, mobilenet_v2.MOMENTUM
        hidden = config.hidden
        if config.expand:
            self.expand = ConvBN(inputs, hidden, *numbers)
        self.depthwise = ConvBN(hidden, hidden, *numbers, size=3, stride=stride, depthwise=True)
        self.project = ConvBN(hidden, config.features, *numbers, linear=True)
        self.shortcut = config.shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x) if hasattr(self, 'expand') else x
        y = self.project(self.depthwise(y))
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    def __init__(self, config):
        super().__init__()
        numbers = mobilenet_v2.EPSILON, mobilenet_v2.MOMENTUM
        self.features_0 = ConvBN(3, config.stem, *numbers, size=3, stride=2)
        width = config.stem
        for i, block in enumerate(config.blocks):
            part = InvertedResidual(width, block, mobilenet_v2.STRIDES[i])
            self.add_module(f'features_{i + 1}', part)
            width = block.features
        self.add_module(f'features_{len(config.blocks) + 1}', ConvBN(width, config.last, *numbers))

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for part in self.children():
            x = part(x)
            outputs.append(x)
        return [outputs[mobilenet_v2.ENC2X], outputs[mobilenet_v2.ENC4X], x]


class SqueezeExcitation(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.fc_0 = nn.Conv2d(features, hidden, 1, bias=False)
        self.fc_2 = nn.Conv2d(hidden, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(
            self.fc_2(functional.relu(self.fc_0(x.mean((2, 3), keepdim=True))))
        )


class LowResolutionBranch(nn.Module):
    def __init__(self, c: MODNetConfig):
        super().__init__()
        self.se_block = SqueezeExcitation(c.backbone.last, c.se_hidden)
        self.conv_lr16x = ConvIBNormReLU(c.backbone.last, c.conv_lr16x, 5)
        self.conv_lr8x = ConvIBNormReLU(c.conv_lr16x, c.conv_lr8x, 5)
        self.conv_lr = nn.Conv2d(c.conv_lr8x, 1, 3, 2, 1)

    def forward(self, enc32x: Tensor) -> tuple[Tensor, Tensor]:
        lr8x = self.conv_lr8x(enlarge(self.conv_lr16x(enlarge(self.se_block(enc32x)))))
        return lr8x, torch.sigmoid(self.conv_lr(lr8x))


class HighResolutionBranch(nn.Module):
    def __init__(self, c: MODNetConfig):
        super().__init__()
        enc2x, enc4x = (c.backbone.blocks[i - 1].features for i in (1, 3))
        self.tohr_enc2x = ConvIBNormReLU(enc2x, c.tohr_enc2x, 1)
        self.conv_enc2x = ConvIBNormReLU(3 + c.tohr_enc2x, c.conv_enc2x, 3, 2)
        self.tohr_enc4x = ConvIBNormReLU(enc4x, c.tohr_enc4x, 1)
        self.conv_enc4x = ConvIBNormReLU(c.conv_enc2x + c.tohr_enc4x, c.conv_enc4x)
        inputs = c.conv_enc4x + c.conv_lr8x + 3
        for i, features in enumerate(c.conv_hr4x):
            self.add_module(f'conv_hr4x_{i}', ConvIBNormReLU(inputs, features))
            inputs = features
        inputs += c.tohr_enc2x
        for i, features in enumerate(c.conv_hr2x):
            self.add_module(f'conv_hr2x_{i}', ConvIBNormReLU(inputs, features))
            inputs = features
        self.conv_hr_0 = ConvIBNormReLU(inputs + 3, c.conv_hr)
        self.conv_hr_1 = nn.Conv2d(c.conv_hr, 1, 1)

    def forward(self, image: Tensor, enc2x: Tensor, enc4x: Tensor, lr8x: Tensor):
        enc2x = self.tohr_enc2x(enc2x)
        x = self.conv_enc2x(torch.cat([shrink(image, 2), enc2x], 1))
        x = self.conv_enc4x(torch.cat([x, self.tohr_enc4x(enc4x)], 1))
        x = torch.cat([x, enlarge(lr8x), shrink(image, 4)], 1)
        x = self.conv_hr4x_2(self.conv_hr4x_1(self.conv_hr4x_0(x)))
        x = self.conv_hr2x_0(torch.cat([enlarge(x), enc2x], 1))
        hr2x = self.conv_hr2x_3(self.conv_hr2x_2(self.conv_hr2x_1(x)))
        x = self.conv_hr_0(torch.cat([enlarge(hr2x), image], 1))
        return hr2x, torch.sigmoid(self.conv_hr_1(x))


class FusionBranch(nn.Module):
    def __init__(self, c: MODNetConfig):
        super().__init__()
        self.conv_lr4x = ConvIBNormReLU(c.conv_lr8x, c.conv_lr4x, 5)
        self.conv_f2x = ConvIBNormReLU(c.conv_lr4x + c.conv_hr2x[-1], c.conv_f2x)
        self.conv_f_0 = ConvIBNormReLU(c.conv_f2x + 3, c.conv_f)
        self.conv_f_1 = nn.Conv2d(c.conv_f, 1, 1)

    def forward(self, image: Tensor, lr8x: Tensor, hr2x: Tensor) -> Tensor:
        x = enlarge(self.conv_lr4x(enlarge(lr8x)))
        x = enlarge(self.conv_f2x(torch.cat([x, hr2x], 1)))
        return torch.sigmoid(self.conv_f_1(self.conv_f_0(torch.cat([x, image], 1))))


class MODNet(nn.Module):
    """Image [N, 3, H, W] in [-1, 1] → `alpha`, `semantic`, `detail`."""

    def __init__(self, config: MODNetConfig):
        super().__init__()
        self.backbone = MobileNetV2(config.backbone)
        self.lr_branch = LowResolutionBranch(config)
        self.hr_branch = HighResolutionBranch(config)
        self.f_branch = FusionBranch(config)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        enc2x, enc4x, enc32x = self.backbone(image)
        lr8x, semantic = self.lr_branch(enc32x)
        hr2x, detail = self.hr_branch(image, enc2x, enc4x, lr8x)
        alpha = self.f_branch(image, lr8x, hr2x)
        return {'alpha': alpha, 'semantic': semantic, 'detail': detail}


class EncoderBlock(nn.Module):
    def __init__(self, inputs, config, rates, stride, linear=True):
        super().__init__()
        numbers = mmnet.EPSILON, mmnet.MOMENTUM
        depthwise = {'size': 3, 'depthwise': True, 'same': True}
        self.branches = []
        for i, (width, rate) in enumerate(zip(config.expanded, rates, strict=True)):
            parts = {'pointwise': ConvBN(inputs, width, *numbers)}
            if stride > 1:
                parts['stride'] = ConvBN(width, width, *numbers, stride=stride, **depthwise)
            parts['dilation'] = ConvBN(width, width, *numbers, dilation=rate, **depthwise)
            for name, part in parts.items():
                self.add_module(f'branch{i}_{name}', part)
            self.branches.append(list(parts.values()))
        self.merge = ConvBN(sum(config.expanded), config.features, *numbers, linear=linear)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for parts in self.branches:
            y = x
            for part in parts:
                y = part(y)
            outputs.append(y)
        return self.merge(torch.cat(outputs, 1))


class DecoderBlock(nn.Module):
    def __init__(self, inputs, encoded, compressed, shortcut):
        super().__init__()
        numbers = mmnet.EPSILON, mmnet.MOMENTUM
        self.pointwise = ConvBN(inputs, compressed, *numbers)
        self.shortcut_depthwise = ConvBN(encoded, encoded, *numbers, size=3, depthwise=True)
        self.shortcut_pointwise = ConvBN(encoded, shortcut, *numbers)

    def forward(self, x: Tensor, encoded: Tensor) -> Tensor:
        shortcut = self.shortcut_pointwise(self.shortcut_depthwise(encoded))
        return torch.cat([enlarge_legacy(self.pointwise(x)), shortcut], 1)


class MMNet(nn.Module):
    """Image [N, 3, H, W] in [0, 1] → `alpha`, `logits`, `aux_logits`."""

    def __init__(self, config: MMNetConfig):
        super().__init__()
        numbers = mmnet.EPSILON, mmnet.MOMENTUM
        self.init_block = ConvBN(3, config.init, *numbers, size=3, stride=2, same=True)
        width = config.init
        for i, (block, rates) in enumerate(zip(config.encoder, mmnet.RATES, strict=True)):
            stride, linear = 2 if i in mmnet.DOWN else 1, i < len(mmnet.RATES) - 1
            self.add_module(f'enc_block{i}', EncoderBlock(width, block, rates, stride, linear))
            width = block.features
        self.aux_block = nn.Conv2d(width, 2, 1)
        for i, source in enumerate((4, 0)):
            sizes = config.encoder[source].features, config.compressed[i], config.shortcut[i]
            self.add_module(f'dec_block{i}', DecoderBlock(width, *sizes))
            width = sum(sizes[1:])
        for i, block in enumerate(config.refinement):
            part = EncoderBlock(width, block, mmnet.REFINEMENT_RATES[i], 1)
            self.add_module(f'dec_block{i + 2}', part)
            width = block.features
        self.dec_block4 = ConvBN(width, config.final, *numbers)
        self.final_block = nn.Conv2d(config.final, 2, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x, features = self.init_block(image), []
        for i in range(len(mmnet.RATES)):
            x = getattr(self, f'enc_block{i}')(x)
            features.append(x)
        aux_logits = self.aux_block(x)
        x = self.dec_block1(self.dec_block0(x, features[4]), features[0])
        x = self.final_block(self.dec_block4(self.dec_block3(self.dec_block2(x))))
        logits = enlarge_legacy(enlarge_legacy(x))
        return {'alpha': logits.softmax(1)[:, 1:], 'logits': logits, 'aux_logits': aux_logits}


MODULES = {'modnet': MODNet, 'mmnet': MMNet}  # the networks that are written in PyTorch here
