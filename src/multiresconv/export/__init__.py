"""Models as ONNX files, and as folders that run without PyTorch."""

from multiresconv.export.onnx_file import to_onnx

__all__ = ["to_onnx"]
