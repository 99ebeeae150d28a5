"""A device that is none: a tensor that was moved there mixes only with its like, as on a GPU.

The numbers stay on the CPU. What is checked is what code forgets: a tensor that was made on the CPU and meets
the model's, a result that is read without being fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("cuda", 0)


class There(Tensor):
    """A tensor on the device."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse to mix devices; numbers without axes may come from anywhere."""
        with torch._C.DisableTorchFunctionSubclass():
            tensors = [
                each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor) and each.dim()
            ]
        strangers = [each for each in tensors if not isinstance(each, There)]
        assert not strangers or len(strangers) == len(tensors), (
            f"{func.__name__} mixes the device with the CPU"
        )
        return super().__torch_function__(func, types, args, kwargs or {})


class _Moves(TorchFunctionMode):
    """Moves there and back, and makes there what is asked to be made there."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch._has_compatible_shallow_copy_type:
            return False  # a module that moves gets new parameters
        if func == Tensor.device.__get__:
            return DEVICE if isinstance(args[0], There) else func(*args)
        if func in (Tensor.numpy, Tensor.__array__):
            assert not isinstance(args[0], There), "a tensor of the device is read without being fetched"
        if func is Tensor.cpu:
            return args[0].as_subclass(Tensor)
        if func is Tensor.to and DEVICE in (*args[1:], *given.values()):
            return args[0].as_subclass(There)
        if given.get("device") == DEVICE:
            return func(*args, **given | {"device": None}).as_subclass(There)
        return func(*args, **given)


@contextmanager
def another_device() -> Iterator[torch.device]:
    """A device to move modules and tensors to, while inside."""
    with _Moves():
        yield DEVICE
