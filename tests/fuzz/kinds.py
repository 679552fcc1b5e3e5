"""The kinds of input that are tried, by name."""

from tests.fuzz import (
    bins,
    bundles,
    checksums,
    frozen_graphs,
    http_requests,
    http_server,
    lite_models,
    onnx_models,
    openvino_irs,
    pictures,
    settings,
    tables,
    videos,
    weights,
)
from tests.fuzz.harness import Kind

KINDS = {
    'images': Kind(pictures.make_picture, pictures.use_picture, pictures.write_samples),
    'alphas': Kind(pictures.make_alpha, pictures.use_alpha),
    'pickles': Kind(weights.make_pickle, weights.use_pickle, weights.write_weights, (), 200),
    'bundles': Kind(bundles.make_bundle, bundles.use_bundle, bundles.write_samples),
    'checksums': Kind(checksums.make_sums, checksums.use_sums, checksums.write_samples),
    'tables': Kind(
        tables.make_table, tables.use_table, tables.write_samples, ('pyarrow', 'pyarrow.parquet')
    ),
    'prune_info': Kind(weights.make_prune_info, weights.use_prune_info),
    'checkpoints': Kind(weights.make_checkpoint, weights.use_checkpoint, weights.write_checkpoint),
    'onnx': Kind(
        onnx_models.make_onnx, onnx_models.use_onnx, onnx_models.write_onnx, ('onnx', 'onnxruntime')
    ),
    'onnx_weights': Kind(
        onnx_models.make_onnx, onnx_models.use_onnx_weights, onnx_models.write_onnx, ('onnx',)
    ),
    'openvino': Kind(
        openvino_irs.make_openvino,
        openvino_irs.use_openvino,
        openvino_irs.write_openvino,
        ('openvino',),
    ),
    'graphs': Kind(
        frozen_graphs.make_graph,
        frozen_graphs.use_graph,
        frozen_graphs.write_graph,
        ('tensorflow',),
        every=3,
    ),
    'litert': Kind(
        lite_models.make_lite, lite_models.use_lite, lite_models.write_lite, ('ai_edge_litert',)
    ),
    'bins': Kind(bins.make_bins, bins.use_bins, bins.write_samples),
    'videos': Kind(videos.make_video, videos.use_video, videos.write_samples, ('av',)),
    'http': Kind(
        http_requests.make_requests,
        http_server.use_requests,
        http_requests.write_samples,
        ('av', 'fastapi', 'python_multipart', 'uvicorn', 'mattingjax.inference.serving.server'),
        programs=http_server.CLIPS,
    ),
    'training': Kind(settings.make_training, settings.use_training, every=3),
    'options': Kind(settings.make_options, settings.use_options),
    'lists': Kind(settings.make_list, settings.use_list),
}
