"""Frozen TensorFlow graphs as ONNX: the conversion, and passes that clean up the result."""
