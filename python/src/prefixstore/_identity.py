"""What must be equal for two engines to share pages, and what a page is made of."""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence, Tuple, Union

from ._checks import UINT32, number, text
from ._errors import InvalidIdentityError, InvalidLayoutError
from ._structs import IdentityStruct, LayoutStruct, PlaneStruct, sized


class Element(enum.IntEnum):
    """What the numbers of a plane or block are stored as. It decides how well they compress, never what comes back.

    `OPAQUE` pages move whole; all others are cut at any token. `BYTES` is a row of bytes per token, whatever they
    mean. The last six are ggml's block types.
    """

    OPAQUE = 0
    BF16 = 1
    FP16 = 2
    FP32 = 3
    INT8 = 4
    FP8_E4M3 = 5
    FP8_E5M2 = 6
    BYTES = 7
    Q8_0 = 8
    Q4_0 = 9
    Q4_1 = 10
    Q5_0 = 11
    Q5_1 = 12
    IQ4_NL = 13


#: Bytes of one number, for the elements whose numbers are whole bytes.
_SIZES = {
    Element.BF16: 2, Element.FP16: 2, Element.FP32: 4, Element.INT8: 1, Element.FP8_E4M3: 1, Element.FP8_E5M2: 1,
    Element.BYTES: 1,
}


def element_of(value: Union[Element, str]) -> Element:
    """An element, also by its name in lower case: "bf16"."""
    if isinstance(value, Element):
        return value
    try:
        return Element[value.upper()]
    except (AttributeError, KeyError):
        names = ", ".join(known.name.lower() for known in Element)
        raise InvalidLayoutError(f"There is no element {value!r}. Give one of {names}.") from None


@dataclass(frozen=True)
class Plane:
    """One row of bytes per token: the keys of a layer, or its values, or what else an engine caches per token.

    `layer` rises from 0, and none is left out; a layer has one plane or more. `row_bytes` is a whole number of the
    element's groups. `window`: tokens before the next one that the layer looks at; 0 for all.
    """

    layer: int
    row_bytes: int
    element: Union[Element, str] = Element.BYTES
    window: int = 0


def kv_planes(layers: int, kv_heads: int, head_dim: int, element: Union[Element, str]) -> List[Plane]:
    """The planes of a plain transformer: keys, then values, of each layer, a row `[kv_heads, head_dim]` per token."""
    kind = element_of(element)
    if kind not in _SIZES:
        raise InvalidLayoutError(f"Numbers of {kind.name} are no whole bytes. Make each Plane with its row_bytes.")
    row = kv_heads * head_dim * _SIZES[kind]
    return [Plane(layer, row, kind) for layer in range(layers) for _ in range(2)]


@dataclass(frozen=True)
class Identity:
    """What must be equal for two engines to share pages. Every field counts but `label`.

    `weights`: 32 bytes, the digest of the weights and of the configuration that changes them (`Store.file_digest`).
    `tokenizer`: 32 bytes, the digest of the tokenizer; that of the weights when one file holds both.
    `positions`: parameters of the position encoding, such as "rope theta=500000".
    `engine`, `engine_format`: the engine's name, and the version of the bytes that its kernels write.
    `adapter`: 32 bytes, the digest of the adapters (LoRA) with their scales; None without.
    `tensor_rank` of `tensor_size`, `pipeline_rank` of `pipeline_size`: the part of a model that is split over devices.
    `salt`: a tenant's secret of 16 to 4096 bytes; only a digest of it reaches the disk.
    `label`: the model's name for people.
    """

    weights: bytes
    tokenizer: bytes
    positions: str
    engine: str
    engine_format: int = 1
    adapter: Optional[bytes] = None
    tensor_rank: int = 0
    tensor_size: int = 1
    pipeline_rank: int = 0
    pipeline_size: int = 1
    salt: Optional[bytes] = field(default=None, repr=False)
    label: Optional[str] = None

    def _struct(self) -> IdentityStruct:
        struct = sized(
            IdentityStruct, weights=_digest(self.weights, "weights"), tokenizer=_digest(self.tokenizer, "tokenizer"),
            positions=text(self.positions, "positions"), engine=text(self.engine, "engine"),
            label=None if self.label is None else text(self.label, "label"))
        if self.adapter is not None:
            struct.adapter = _digest(self.adapter, "adapter")
        for name in ("engine_format", "tensor_rank", "tensor_size", "pipeline_rank", "pipeline_size"):
            setattr(struct, name, number(getattr(self, name), name, UINT32))
        if self.salt is not None:
            if not isinstance(self.salt, bytes):
                raise TypeError(f"salt is bytes, not {type(self.salt).__name__}.")
            if not self.salt:
                # C takes no bytes for no salt, and a tenant's pages would be everybody's.
                raise InvalidIdentityError("The salt is empty. Give 16 to 4096 bytes, or None.")
            struct.salt = ctypes.cast(ctypes.c_char_p(self.salt), ctypes.c_void_p)
            struct.salt_bytes = len(self.salt)
        return struct


def _digest(value: Any, name: str) -> Any:
    if not isinstance(value, bytes):
        raise TypeError(f"{name} is a digest of 32 bytes, not {type(value).__name__}.")
    if len(value) != 32 or not any(value):
        raise InvalidIdentityError(
            f"{name} has {len(value)} bytes, or is all zero. Give a digest of 32 bytes, as of hashlib.sha256.")
    return (ctypes.c_uint8 * 32).from_buffer_copy(value)


def layout_struct(planes: Sequence[Plane], page_tokens: int) -> Tuple[LayoutStruct, Tuple[Plane, ...]]:
    """A layout for C, and its planes."""
    kept = tuple(planes)
    for at, plane in enumerate(kept):
        if not isinstance(plane, Plane):
            raise TypeError(f"planes[{at}] is a Plane, not {type(plane).__name__}.")
    structs = (PlaneStruct * len(kept))()
    for at, plane in enumerate(kept):
        structs[at].layer = number(plane.layer, f"planes[{at}].layer", UINT32)
        structs[at].row_bytes = number(plane.row_bytes, f"planes[{at}].row_bytes", UINT32, lowest=1)
        structs[at].element = element_of(plane.element)
        structs[at].window = number(plane.window, f"planes[{at}].window", UINT32)
    # 0 would be the default of C.
    tokens = number(page_tokens, "page_tokens", 4096, lowest=1)
    return (
        sized(
            LayoutStruct, page_tokens=tokens, plane_count=len(kept), plane_size=ctypes.sizeof(PlaneStruct),
            planes=structs),
        kept,
    )
