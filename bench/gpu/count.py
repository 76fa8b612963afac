"""What a model asks of a machine: operations and bytes of every kernel of a pass, counted on tensors without contents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

VIEWS = (
    "view", "transpose", "unsqueeze", "expand", "slice", "detach", "permute", "t", "_unsafe_view", "alias", "select",
    "as_strided", "empty", "empty_like",
)  # fmt: skip
"""What moves nothing."""
ATTENTION = "scaled_dot_product_attention"


@dataclass
class Kernel:
    """One kind of kernel in a pass: how often, operations, bytes read and written."""

    calls: int = 0
    flops: float = 0.0
    bytes: float = 0.0


class Count(TorchDispatchMode):
    """Counts what runs inside; ``each``: (operations, bytes) of every call, ``kinds``: the same by kind."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        super().__init__()
        self.each: list[tuple[float, float]] = []
        self.kinds: dict[str, Kernel] = defaultdict(Kernel)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Count a call and let it happen; what is made of other calls is counted by them, but attention, which is one kernel."""
        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2]
        if name == ATTENTION:
            query = args[0]
            out = torch.empty_like(query)
            batch, heads, frames, size = query.shape
            self._add(name, 4.0 * batch * heads * frames * frames * size, (args[:3], out))
            return out
        if func._overloadpacket not in flop_registry:
            with self:
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        out = func(*args, **kwargs)
        if name not in VIEWS:
            counter = flop_registry.get(func._overloadpacket)
            self._add(name, float(counter(*args, **kwargs, out_val=out)) if counter else 0.0, (args, kwargs, out))
        return out

    def _add(self, name: str, flops: float, touched: Any) -> None:
        tensors = [x for x in tree_leaves(touched) if isinstance(x, torch.Tensor)]
        moved = float(sum(x.numel() * x.element_size() for x in tensors))
        self.each.append((flops, moved))
        kind = self.kinds[name]
        kind.calls, kind.flops, kind.bytes = kind.calls + 1, kind.flops + flops, kind.bytes + moved


def least_seconds(each: list[tuple[float, float]], flops_per_s: float, bytes_per_s: float) -> float:
    """Time of the counted kernels one after the other, each bound by arithmetic or by memory (roofline)."""
    return sum(max(f / flops_per_s, b / bytes_per_s) for f, b in each)
