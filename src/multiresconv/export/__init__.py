"""Models as ONNX files, and as folders that run without PyTorch."""

from multiresconv.export.folder import export_folder
from multiresconv.export.onnx_file import to_onnx

__all__ = ["export_folder", "to_onnx"]
