"""The package itself: the library inside it, its version, its types, and that it needs nothing else."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import prefixstore
from prefixstore import _errors, _library, _structs

FOLDER = Path(prefixstore.__file__).parent


def imported(**environment: str) -> "subprocess.CompletedProcess[str]":
    """What comes of importing the package in a process with other variables."""
    return subprocess.run(
        [sys.executable, "-c", "import prefixstore; print(prefixstore.__version__)"], capture_output=True, text=True,
        env={**os.environ, **environment}, timeout=60)


@pytest.fixture
def other_version(tmp_path: Path) -> Any:
    """Makes a library that is the package's own but for the number of its version."""
    own = _library.library._name

    def make(version: str) -> Path:
        assert len(version) == len(prefixstore.__version__)
        data = Path(own).read_bytes()
        number = prefixstore.__version__.encode() + b"\0"
        assert number in data
        path = tmp_path / "libprefixstore.so"
        path.write_bytes(data.replace(number, version.encode() + b"\0"))
        return path

    return make


@pytest.mark.parametrize("version, words", [("0.0.9", "needs 0.1.0 or a later 0.x"), ("1.0.0", "later 0.x")])
def test_a_library_of_another_version_is_refused(other_version: Any, version: str, words: str) -> None:
    child = imported(PREFIXSTORE_LIBRARY=str(other_version(version)), LD_LIBRARY_PATH=libraries())
    assert child.returncode == 1
    assert "LibraryError" in child.stderr and f"has version {version}" in child.stderr and words in child.stderr


def test_a_later_library_of_the_same_major_number_is_taken(other_version: Any) -> None:
    child = imported(PREFIXSTORE_LIBRARY=str(other_version("0.1.7")), LD_LIBRARY_PATH=libraries())
    assert (child.returncode, child.stderr) == (0, "")


def libraries() -> str:
    """Where a copy of the library finds what the wheel has put beside it."""
    return str(FOLDER.parent / "prefixstore.libs")


def test_a_missing_library_is_named_with_a_remedy(tmp_path: Path) -> None:
    child = imported(PREFIXSTORE_LIBRARY=str(tmp_path / "none.so"))
    assert child.returncode == 1 and "none.so is missing" in child.stderr and "Install the wheel" in child.stderr


def test_an_older_build_of_the_same_version_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    data = Path(_library.library._name).read_bytes()
    name = b"\0pfx_set_aside_notice\0"
    assert name in data
    (tmp_path / "old.so").write_bytes(data.replace(name, b"\0pfx_set_aside_nothing"[:len(name) - 1] + b"\0"))
    child = imported(PREFIXSTORE_LIBRARY=str(tmp_path / "old.so"), LD_LIBRARY_PATH=libraries())
    assert child.returncode == 1
    assert "old.so is an older build of version" in child.stderr
    assert "it lacks the function pfx_set_aside_notice. Build it again" in child.stderr


def test_an_older_build_is_known_by_its_structs_and_errors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(_structs.KeyStruct):
        _fields_ = [("more", ctypes.c_uint64)]

    assert _library._lacks(_library.library) is None
    monkeypatch.setitem(_errors.BY_CODE, -399, prefixstore.MachineError)
    assert _library._lacks(_library.library) == "the error MachineError"
    monkeypatch.setitem(_structs.STRUCTS, "pfx_key", Later)
    assert _library._lacks(_library.library) == "the newest fields of pfx_key"


def test_what_is_no_library_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    child = imported(PREFIXSTORE_LIBRARY=str(tmp_path / "text.so"))
    assert child.returncode == 1 and "text.so cannot be used" in child.stderr
    # One that has none of the functions.
    child = imported(PREFIXSTORE_LIBRARY="/proc/self/exe")
    assert child.returncode == 1 and "cannot be used" in child.stderr


@pytest.mark.parametrize("name, words", [
    ("none.so", "does not exist"), (".", "is not a shared library"), ("text.so", "is not a shared library")])
def test_a_wheel_of_something_else_than_a_library_is_refused_with_its_path(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "text.so").write_text("no library")
    program = Path(__file__).parents[1] / "build-wheel"
    run = subprocess.run([program, "--library", name], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"build-wheel: {tmp_path / name}".rstrip(".")) and words in run.stderr
    assert run.stderr.count("\n") == 1


def test_an_import_error_of_the_library_can_be_caught_as_one() -> None:
    assert issubclass(prefixstore.LibraryError, ImportError)


def test_the_package_needs_no_other() -> None:
    needed = [name for name in metadata.requires("prefixstore") or [] if "extra ==" not in name]
    assert needed == []
    code = "import sys, prefixstore; print([name for name in ('numpy', 'torch', 'pytest') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_the_version_is_that_of_the_library() -> None:
    assert prefixstore.__version__ == _library.library.pfx_version().decode() == metadata.version("prefixstore")


def test_the_package_carries_its_library_its_types_and_its_licences() -> None:
    assert Path(_library.library._name) == FOLDER / "libprefixstore.so"
    assert (FOLDER / "py.typed").exists()
    files = [str(file) for file in metadata.files("prefixstore") or []]
    for name in ("prefixstore.txt", "swift.txt", "liblmdb0.txt", "libssl3.txt", "libzstd-dev.txt"):
        assert any(file.endswith(f"licenses/{name}") for file in files), name


def test_everything_that_is_public_is_documented() -> None:
    for name in prefixstore.__all__:
        thing = getattr(prefixstore, name)
        if name == "__version__":
            continue
        assert thing.__doc__, name
        for method, value in vars(thing).items() if isinstance(thing, type) else ():
            if callable(value) and not method.startswith("_"):
                assert value.__doc__, f"{name}.{method}"


def test_the_library_uses_what_is_in_the_wheel_and_not_what_the_system_has() -> None:
    code = "import prefixstore; print(open('/proc/self/maps').read())"
    maps = subprocess.check_output([sys.executable, "-c", code], text=True)
    mapped = {line.split()[-1] for line in maps.splitlines() if "liblmdb" in line or "libcrypto" in line}
    assert {Path(path).parent for path in mapped} == {FOLDER.parent / "prefixstore.libs"} and len(mapped) == 2
