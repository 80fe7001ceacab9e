"""Memory of the caller, by the buffer protocol and without a copy: its address, and that it stays where it is.

`ctypes` alone finds no address of read-only memory or of rows with gaps, hence the call of Python's own C interface.
Tensors of PyTorch do not speak the buffer protocol and are asked by their methods.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_ssize_t, c_void_p, py_object
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, Optional, Protocol, Tuple, Type, Union

from ._errors import InvalidPagesError

if TYPE_CHECKING:
    from typing_extensions import Buffer as _Exporter


class _Array(Protocol):
    """An array of numpy, whose types do not say in every version that it is a buffer."""

    @property
    def __array_interface__(self) -> Dict[str, Any]: ...


class _Tensor(Protocol):
    """A tensor of PyTorch."""

    def data_ptr(self) -> int: ...

    def element_size(self) -> int: ...


#: Memory of the caller: what has the buffer protocol, or a tensor of PyTorch on the CPU.
Buffer = Union["_Exporter", _Array, _Tensor]


class _PyBuffer(ctypes.Structure):
    """Py_buffer of Python's C interface, the same since Python 3.0."""

    _fields_ = [
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_char_p),
        ("shape", POINTER(c_ssize_t)),
        ("strides", POINTER(c_ssize_t)),
        ("suboffsets", POINTER(c_ssize_t)),
        ("internal", c_void_p),
    ]


# With strides, without a format: numpy has none for the types that others add to it, such as bfloat16.
_STRIDES = 0x18
_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes, _get.restype = (py_object, POINTER(_PyBuffer), c_int), c_int
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes, _release.restype = (POINTER(_PyBuffer),), None


def _contiguous(shape: Tuple[int, ...], itemsize: int) -> Tuple[int, ...]:
    strides = [itemsize]
    for count in reversed(shape[1:]):
        strides.insert(0, strides[0] * count)
    return tuple(strides[: len(shape)])


class Memory:
    """The memory of a buffer. It cannot be freed or moved before `release`."""

    def __init__(self, buffer: Any, name: str, writable: bool) -> None:
        self._kept = buffer
        if hasattr(buffer, "data_ptr") and hasattr(buffer, "element_size"):
            self._take_tensor(buffer, name)
        else:
            self._take_buffer(buffer, name, writable)
        self.nbytes = self.itemsize
        for count in self.shape:
            self.nbytes *= count

    # A default of the class: `__del__` also follows an `__init__` that a signal interrupted before its first line.
    _view: Optional[_PyBuffer] = None
    address: int
    itemsize: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]
    nbytes: int

    def _take_buffer(self, buffer: Any, name: str, writable: bool) -> None:
        # Known to `release` before anything is taken; releasing what was not taken does nothing.
        view = self._view = _PyBuffer()
        try:
            _get(buffer, byref(view), _STRIDES)
        except TypeError:
            raise TypeError(
                f"{name} has no buffer: it is of type {type(buffer).__name__}. Give a bytearray, a memoryview, an "
                "array of numpy or a tensor of PyTorch on the CPU.") from None
        except (BufferError, ValueError) as problem:
            raise InvalidPagesError(f"The memory of {name} cannot be used: {problem}.") from None
        if writable and view.readonly:
            self.release()
            raise InvalidPagesError(f"{name} is read-only. Give memory that can be written, such as a bytearray.")
        self.address = view.buf or 0
        self.itemsize = view.itemsize
        self.shape = tuple(view.shape[: view.ndim])
        # Arrays of ctypes give no strides, asked or not: then the memory is one piece.
        self.strides = tuple(view.strides[: view.ndim]) if view.strides else _contiguous(self.shape, view.itemsize)

    def _take_tensor(self, tensor: Any, name: str) -> None:
        if tensor.device.type != "cpu":
            raise InvalidPagesError(f"{name} is on the device {tensor.device}. Copy it to the CPU first.")
        self.address = tensor.data_ptr()
        self.itemsize = tensor.element_size()
        self.shape = tuple(tensor.shape)
        self.strides = tuple(stride * self.itemsize for stride in tensor.stride())

    @property
    def is_contiguous(self) -> bool:
        """Whether the memory is one piece, in the order of its shape."""
        size = self.itemsize
        for count, stride in zip(reversed(self.shape), reversed(self.strides)):
            if count > 1 and stride != size:
                return False
            size *= count
        return True

    def release(self) -> None:
        """Lets the owner move or free the memory again."""
        if self._view is not None:
            _release(byref(self._view))
        self._view = self._kept = None

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def piece(buffer: Any, name: str, writable: bool) -> Memory:
    """Memory in one piece."""
    memory = Memory(buffer, name, writable)
    if not memory.is_contiguous:
        memory.release()
        raise InvalidPagesError(f"{name} has gaps or another order in memory. Give one piece.")
    return memory
