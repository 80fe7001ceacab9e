"""The structs and numbers of `prefixstore.h`. A test compares them with the header."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any, Dict, Type, TypeVar

KEEP_LOADED = 1
DROP_WHEN_FULL = 2


class Options(ctypes.Structure):
    """pfx_options"""

    _fields_ = [
        ("size", c_size_t),
        ("quota", c_uint64),
        ("hot_capacity", c_uint64),
        ("queue_capacity", c_uint64),
        ("spill_rate", c_uint64),
        ("codec", c_uint32),
        ("write_policy", c_uint32),
        ("write_after_hits", c_uint32),
        ("flags", c_uint32),
        ("key_file", c_char_p),
        ("key", c_void_p),
        ("key_bytes", c_size_t),
        ("remote", c_char_p),
        ("remote_puts", c_uint32),
        ("remote_put_after_hits", c_uint32),
    ]


class IdentityStruct(ctypes.Structure):
    """pfx_identity"""

    _fields_ = [
        ("size", c_size_t),
        ("weights", c_uint8 * 32),
        ("tokenizer", c_uint8 * 32),
        ("adapter", c_uint8 * 32),
        ("positions", c_char_p),
        ("engine", c_char_p),
        ("engine_format", c_uint32),
        ("tensor_rank", c_uint32),
        ("tensor_size", c_uint32),
        ("pipeline_rank", c_uint32),
        ("pipeline_size", c_uint32),
        ("reserved", c_uint32),
        ("salt", c_void_p),
        ("salt_bytes", c_size_t),
        ("label", c_char_p),
    ]


class PlaneStruct(ctypes.Structure):
    """pfx_plane"""

    _fields_ = [("layer", c_uint32), ("row_bytes", c_uint32), ("element", c_uint32), ("window", c_uint32)]


class LayoutStruct(ctypes.Structure):
    """pfx_layout"""

    _fields_ = [
        ("size", c_size_t),
        ("page_tokens", c_uint32),
        ("plane_count", c_uint32),
        ("plane_size", c_size_t),
        ("planes", POINTER(PlaneStruct)),
    ]


class MatchInfoStruct(ctypes.Structure):
    """pfx_match_info"""

    _fields_ = [
        ("size", c_size_t),
        ("tokens", c_uint64),
        ("hot_tokens", c_uint64),
        ("cold_tokens", c_uint64),
        ("load_ns", c_uint64),
        ("worth_tokens", c_uint64),
        ("remote_tokens", c_uint64),
    ]


class RowsStruct(ctypes.Structure):
    """pfx_rows"""

    _fields_ = [
        ("size", c_size_t),
        ("planes", POINTER(c_void_p)),
        ("strides", POINTER(c_size_t)),
        ("plane_count", c_size_t),
        ("capacity", c_size_t),
        ("index", POINTER(c_uint32)),
        ("index_count", c_size_t),
        ("first", c_size_t),
    ]


class KeyStruct(ctypes.Structure):
    """pfx_key"""

    _fields_ = [("bytes", c_void_p), ("byte_count", c_size_t)]


class SpanStruct(ctypes.Structure):
    """pfx_span"""

    _fields_ = [("bytes", c_void_p), ("byte_count", c_size_t)]


class CompletionStruct(ctypes.Structure):
    """pfx_completion"""

    _fields_ = [
        ("job", c_uint64),
        ("status", c_int32),
        ("count", c_uint32),
        ("succeeded", c_uint32),
        ("leading", c_uint32),
    ]


#: The structs by their names in the header.
STRUCTS: Dict[str, Type[ctypes.Structure]] = {
    "pfx_options": Options, "pfx_identity": IdentityStruct, "pfx_plane": PlaneStruct, "pfx_layout": LayoutStruct,
    "pfx_match_info": MatchInfoStruct, "pfx_rows": RowsStruct, "pfx_key": KeyStruct, "pfx_span": SpanStruct,
    "pfx_completion": CompletionStruct,
}

Struct = TypeVar("Struct", bound=ctypes.Structure)


def sized(kind: Type[Struct], **fields: Any) -> Struct:
    """A struct of all zero but its size and the fields given."""
    return kind(size=ctypes.sizeof(kind), **fields)
