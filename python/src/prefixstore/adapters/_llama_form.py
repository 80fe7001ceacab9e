"""Remembers in a store in what form a llama.cpp context writes its state, so that the next process need not decode a
token to see it: for a model of some size, that takes longer than loading a prompt."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Optional

from .. import Identity, Store
from ._llama_shape import Group, PlaneForm, Shape

# A block has one length: JSON, and spaces behind it.
_ROOM = 1 << 14


def _identity(weights: bytes) -> Identity:
    return Identity(weights=weights, tokenizer=weights, positions="any", engine="llama.cpp, the form of its state")


def recall(store: Store, weights: bytes, context: str) -> Optional[Shape]:
    """What was remembered of a model in a context; None when there is nothing. Check it against the context."""
    room = bytearray(_ROOM)
    with store.blocks(_identity(weights)) as blocks:
        if not blocks.get([context.encode()], [room])[0]:
            return None
    groups = json.loads(room)
    return Shape([Group(**{**group, "planes": [PlaneForm(*plane) for plane in group["planes"]]}) for group in groups])


def remember(store: Store, weights: bytes, context: str, shape: Shape) -> None:
    """Remembers the form of a context."""
    text = json.dumps([asdict(group) for group in shape.groups]).encode()
    if len(text) > _ROOM:
        return
    with store.blocks(_identity(weights)) as blocks, blocks.queue() as queue:
        if blocks.leading([context.encode()]):
            blocks.remove([context.encode()])  # a form that did not fit
        queue.submit_put([context.encode()], [text.ljust(_ROOM)])
        queue.wait()
