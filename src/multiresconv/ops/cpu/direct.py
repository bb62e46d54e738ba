"""Whether a kernel may be called directly, past PyTorch's dispatcher, whose way to an operator in Python takes long."""

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def direct(*tensors: Tensor | None) -> bool:
    """Where all tensors are plain, and no compiler, dispatch mode or functorch transform wants to see operators."""
    if torch.compiler.is_compiling() or is_in_torch_dispatch_mode() or torch._C._are_functorch_transforms_active():
        return False
    return all(t is None or type(t) in (Tensor, nn.Parameter) for t in tensors)
