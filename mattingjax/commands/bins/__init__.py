r"""The loop of Ascend's msame: photos to .bin files, a network run on them, its outputs measured.

  mattingjax bins prepare --artefact export/model.pb --images photos --alphas mattes \
    --output bins
  mattingjax bins run --model export/model.onnx --input bins/images --output outputs
  mattingjax bins evaluate --output outputs --index bins --report report.json

Where there is an Ascend card, msame takes the place of `run`:

  ./msame --model export/model.om --input bins/images --output outputs

The first argument is one of these verbs, whose --help lists its flags:
"""

COMMANDS = {
    'prepare': 'turns photos and alphas into .bin files',
    'run': 'runs an artefact on .bin files',
    'evaluate': 'compares the results of a run with the alphas',
}
