"""The package against prefixstore.h: functions, structs, numbers and errors are the same."""

from __future__ import annotations

import ctypes
import enum
import re
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

import prefixstore
from prefixstore import _errors, _library, _store, _structs

HEADER = Path(__file__).parents[2] / "Sources/Faces/CPrefixStore/include/prefixstore.h"
CODE = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
NUMBERS = {name: int(value) for name, value in re.findall(r"\b(PFX_\w+)\s*=\s*(-?\d+)", CODE)}
C_TYPES = {
    "int": ctypes.c_int, "int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64, "size_t": ctypes.c_size_t,
}
STRUCTS = _structs.STRUCTS


def type_of(declaration: str) -> Tuple[object, str]:
    """The type of ctypes, and the name, of a field or parameter of C."""
    declaration = re.sub(r"\bconst\b", "", declaration).strip()
    match = re.fullmatch(r"(\w+)\s*([*\s]*)(\w+)(?:\[(\d+)\])?", declaration)
    assert match, declaration
    base, stars, name, count = match[1], match[2].replace(" ", ""), match[3], match[4]
    if base in C_TYPES:
        kind: object = C_TYPES[base]
    elif base in STRUCTS:
        kind = STRUCTS[base]
    elif base == "char" and stars:
        kind, stars = ctypes.c_char_p, stars[1:]
    else:
        # void, and the handles, which are numbers.
        kind, stars = ctypes.c_void_p, stars[1:]
    for _ in stars:
        kind = ctypes.POINTER(kind)  # type: ignore[call-overload]
    if count:
        # A parameter is never an array; it is an address.
        kind = kind * int(count)  # type: ignore[operator]
    return kind, name


def functions() -> Dict[str, Tuple[object, List[object]]]:
    found = {}
    for result, name, parameters in re.findall(r"^((?:const )?\w+ \**)(pfx_\w+)\(([^)]*)\);", CODE, re.M):
        kinds = [] if parameters.strip() == "void" else [type_of(part)[0] for part in parameters.split(",")]
        kinds = [ctypes.POINTER(ctypes.c_uint8) if kind == ctypes.c_uint8 * 32 else kind for kind in kinds]
        found[name] = (type_of(result + " result")[0], kinds)
    return found


def test_every_function_is_declared_as_in_the_header() -> None:
    declared = {name: (result, list(kinds)) for name, (result, kinds) in _library.FUNCTIONS.items()}
    assert declared == functions()
    assert len(declared) > 40


@pytest.mark.parametrize("name", STRUCTS)
def test_every_struct_has_the_fields_of_the_header(name: str) -> None:
    body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (name, name), CODE, re.S)
    assert body
    fields = [type_of(field) for field in body[1].split(";") if field.strip()]
    assert [(name, kind) for kind, name in fields] == STRUCTS[name]._fields_


def test_no_struct_of_the_header_is_left_out() -> None:
    assert set(re.findall(r"typedef struct (\w+) \{", CODE)) == set(STRUCTS)


def test_every_error_code_has_one_exception_of_its_name() -> None:
    codes = {name: number for name, number in NUMBERS.items() if number < 0}
    names = {"PFX_SYSTEM": "SystemCallError", "PFX_OUT_OF_MEMORY": "NoMemoryError"}
    right = {
        number: names.get(name, "".join(word.title() for word in name.split("_")[1:]) + "Error")
        for name, number in codes.items()
    }
    assert {code: kind.__name__ for code, kind in _errors.BY_CODE.items()} == right


def test_every_exception_is_public_and_documented() -> None:
    for kind in _errors.BY_CODE.values():
        assert getattr(prefixstore, kind.__name__) is kind
        assert kind.__doc__ and len(kind.__doc__) > 20


def test_exceptions_are_grouped_by_who_can_do_something() -> None:
    groups = {1: prefixstore.CallerError, 2: prefixstore.OperatorError, 3: prefixstore.MachineError}
    for code, kind in _errors.BY_CODE.items():
        if code <= -100:
            assert issubclass(kind, groups[-code // 100])


def test_a_code_of_a_later_library_keeps_its_number() -> None:
    found = _errors.error(-399, "the moon fell down")
    assert type(found) is prefixstore.PrefixStoreError and found.code == -399 and str(found) == "the moon fell down"


def test_elements_codecs_and_policies_have_the_numbers_of_the_header() -> None:
    assert issubclass(prefixstore.Element, enum.IntEnum)
    first, last = NUMBERS["PFX_OPAQUE"], NUMBERS["PFX_IQ4_NL"]
    names = list(NUMBERS)
    elements = names[names.index("PFX_OPAQUE") : names.index("PFX_IQ4_NL") + 1]
    assert {f"PFX_{each.name}": each.value for each in prefixstore.Element} == {n: NUMBERS[n] for n in elements}
    assert (first, last) == (0, 13)
    for name, number in _store._CODECS.items():
        assert NUMBERS[f"PFX_CODEC_{name.upper()}"] == number
    for name, number in _store._POLICIES.items():
        assert NUMBERS["PFX_WRITE_AFTER_HITS" if name == "after_hits" else f"PFX_{name.upper()}"] == number
    assert (_structs.KEEP_LOADED, _structs.DROP_WHEN_FULL) == (
        NUMBERS["PFX_KEEP_LOADED"], NUMBERS["PFX_DROP_WHEN_FULL"])
