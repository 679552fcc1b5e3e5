"""OpenVINO IRs: from ONNX, in float32, float16 and int8."""
