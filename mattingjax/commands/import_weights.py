"""Turns foreign weights into a checkpoint: PyTorch or ONNX MODNet, TensorFlow 1 MMNet or DeepLab.

  mattingjax import-weights --source modnet_photographic_portrait_matting.ckpt --output CKPT
  mattingjax import-weights --source modnet_p.ckpt --prune_info modnet_p.json --output CKPT
  mattingjax import-weights --source MMNetModel-1593500.index --output CKPT
  mattingjax import-weights --source deeplabv3_mnv2_pascal_trainval/model.ckpt-30000 --output CKPT
  mattingjax import-weights --source mobilenet_v2_1.0_224.ckpt --output CKPT
  mattingjax import-weights --source modnet_p --network deeplab --output CKPT
  mattingjax import-weights --source hf://Xenova/modnet/onnx/model.onnx --output CKPT

The format is recognised from the file; nothing in it is executed. Of the 21 classes of PASCAL VOC
background and person stay. Of an ImageNet classifier, and with --network deeplab of a MODNet, the
backbone is taken, for a Mobile DeepLabv3 whose head has yet to be trained. hf://OWNER/REPO/FILE is
fetched from the Hugging Face Hub; the one above is the published MODNet, whose SHA-256 is known.
"""

from absl import flags

_SOURCE = flags.DEFINE_string(
    'source', None, 'The file with the weights, or hf://OWNER/REPO/FILE.', required=True
)
_PRUNE_INFO = flags.DEFINE_string('prune_info', None, "The pruner's JSON of a pruned MODNet.")
_SHA256 = flags.DEFINE_string('sha256', None, 'The SHA-256 that a file from the Hub must have.')
_NETWORK = flags.DEFINE_string(
    'network',
    None,
    'The network to make, if it is another than the file tells: deeplab or deeplab_aspp, of the '
    'backbone of a MODNet (also of a checkpoint directory or of weights that ship) or of ImageNet.',
)
_OUTPUT = flags.DEFINE_string('output', None, 'The checkpoint directory to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')


def main() -> None:
    from mattingjax.checkpoints import check_target, save_checkpoint
    from mattingjax.importers import import_weights
    from mattingjax.networks.complexity import measure_complexity

    check_target(_OUTPUT.value, overwrite=_OVERWRITE.value)
    checkpoint = import_weights(
        _SOURCE.value,
        prune_info=_PRUNE_INFO.value,
        sha256=_SHA256.value,
        network=_NETWORK.value,
    )
    save_checkpoint(_OUTPUT.value, checkpoint, overwrite=_OVERWRITE.value)
    config = checkpoint.config
    complexity = measure_complexity(config)
    print(
        f'{_OUTPUT.value}: {config.network}, {complexity["parameters"]:,} parameters, '
        f'{complexity["macs"] / 1e9:.2f} G MACs at {config.input_size}x{config.input_size}'
    )
    for what, meaning in (
        ('ignored', 'variables that the network does without'),
        ('initialised', 'variables that are random, as the file has none of them'),
    ):
        if names := config.provenance[what]:
            print(f'{what}: {len(names)} {meaning}, listed in config.json')
