"""The commands of the package: what they print, and how they end when something is wrong, before any engine starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Sequence

import pytest

import prefixstore
from support import MIB, kv, open_store, prompt, space_of

MODULES = ("exllamav2", "llama_cpp", "transformers")


def command(*arguments: Any, code: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command `prefixstore`, or other code with these arguments."""
    program = ["-c", code] if code else ["-m", "prefixstore"]
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)], capture_output=True, text=True, timeout=60,
        env={**os.environ, **environment})


def serve(folder: Path, *arguments: Any, before: Sequence[Any] = (), **environment: str) -> str:
    """What `prefixstore llama-server` says of a wrong command line: one line. The server would leave a trace."""
    server = folder / "llama-server"
    server.write_text(f"#!/bin/sh\ntouch {folder}/started\n")
    server.chmod(0o700)
    words = ["--store", folder / "kv", "--slots", folder, *before, "--", server, *arguments]
    child = command("llama-server", *words, **environment)
    assert child.returncode == 2 and child.stdout == "", child.stderr
    assert not (folder / "started").exists()
    lines = child.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("prefixstore llama-server: ")
    return lines[0].partition(": ")[2]


# llama-server.

@pytest.mark.parametrize("port", ["abc", "99999", "-1", "8080.5"])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    said = f"--port {port} is no port. Give a number from 1 to 65535, or 0 for any that is free."
    assert said == serve(tmp_path, "--port", port) == serve(tmp_path, f"--port={port}")
    assert said == serve(tmp_path, LLAMA_ARG_PORT=port)


def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = serve(tmp_path, "--port", port)
    assert said == f"Port {port} of 127.0.0.1 is in use by another program. Give another --port."


@pytest.mark.parametrize("host, words", [
    ("nonsense.invalid", "is no address"), ("192.0.2.1", "Nothing can listen"), ("engine.sock", "is a socket file"),
    ("a" * 70, "is no address"),
])
def test_a_host_where_nothing_can_listen(tmp_path: Path, host: str, words: str) -> None:
    said = serve(tmp_path, "--host", host)
    assert words in said and host in said and "Give" in said


def test_two_dashes_that_were_forgotten(tmp_path: Path) -> None:
    for words in (["-m", "model.gguf"], ["llama-server", "-m", "model.gguf"]):
        child = command("llama-server", *words)
        assert child.returncode == 2 and child.stderr.count("\n") == 1
        assert "There is no -- before the command of the server. Write: prefixstore llama-server" in child.stderr


def test_a_program_that_was_forgotten_or_does_not_exist(tmp_path: Path) -> None:
    for words, said in (
        (["-m", "model.gguf"], "Name the program of the server before -m"),
        (["no-such-server"], "There is no program no-such-server to start"), ([], "Name the server behind --"),
        ([tmp_path], "There is no program"),
    ):
        child = command("llama-server", "--", *words)
        assert child.returncode == 2 and child.stderr.count("\n") == 1 and said in child.stderr


@pytest.mark.parametrize("words, said", [
    (["--stor", "kv"], "Unrecognized arguments: --stor kv. Write: prefixstore llama-server"),
    (["--quota", "1 G"], "1 G is no size; give bytes, or a number with KiB, MiB, GiB or TiB"),
    (["--quota", "10KiB"], "the quota is 10 KiB; the limits are"), (["--quota"], "expected one argument"),
])
def test_options_that_it_does_not_know(tmp_path: Path, words: Sequence[str], said: str) -> None:
    assert said in serve(tmp_path, before=words)


def test_secrets_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("too short\n")
    assert "short has 9 bytes" in serve(tmp_path, before=["--salt-file", tmp_path / "short"])
    assert serve(tmp_path, before=["--salt-file", tmp_path / "none"]) == (
        f"{tmp_path}/none cannot be used: No such file or directory.")
    assert "none cannot be opened: No such file or directory" in serve(
        tmp_path, before=["--key-file", tmp_path / "none"])
    assert "The variable PFX_KEY is not 64 hexadecimal digits" in serve(tmp_path, PFX_KEY="a secret")


def test_a_store_that_cannot_be_used_has_the_status_of_pfx(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no store")
    child = command("llama-server", "--store", tmp_path, "--slots", "/dev/shm", "--", "true")
    assert child.returncode == 69 and "holds" in child.stderr and child.stderr.count("\n") == 1
    assert command("info", tmp_path).returncode == 69
    child = command("llama-server", "--store", "/proc/no/kv", "--slots", "/dev/shm", "--", "true")
    assert child.returncode == 66 and "/proc/no/kv is not a folder" in child.stderr and child.stderr.count("\n") == 1


def test_the_folder_of_a_store_is_its_users_own_whatever_new_folders_are(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "kv"
    before = os.umask(0o002)
    try:
        command("llama-server", "--store", folder, "--slots", "/dev/shm", "--", "true", "--port", "0")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700 and (folder / "data.mdb").exists()


# The others.

def test_info_says_what_is_in_a_store_while_another_process_uses_it(folder: Path) -> None:
    tokens = prompt(40)
    with open_store(folder) as store:
        space_of(store).insert(tokens, kv(tokens))
        store.flush()
        child = command("info", folder)
        assert (child.returncode, child.stderr) == (0, "")
        lines = dict(line.split(maxsplit=1) for line in child.stdout.splitlines())
        assert (lines["pages"], lines["tokens"], lines["quota_bytes"]) == ("3", "40", str(64 * MIB))
        assert lines["open_in"] == str(os.getpid())
        with pytest.raises(prefixstore.AlreadyOpenError):
            prefixstore.info(folder)
    found = prefixstore.info(folder)
    assert (found["pages"], found["spaces"], found["open_in"]) == (3, 1, [])


def test_info_of_what_is_no_store_is_a_sentence(folder: Path) -> None:
    child = command("info", folder)
    assert child.returncode == 66 and child.stderr.startswith("prefixstore: ") and child.stderr.count("\n") == 1
    assert not folder.exists()


def test_it_says_its_version_and_its_commands() -> None:
    assert command("--version").stdout == f"prefixstore {prefixstore.__version__}\n"
    for words, status in (([], 2), (["--help"], 0), (["nothing"], 2), (["info"], 2), (["info", "--json"], 2)):
        child = command(*words)
        assert child.returncode == status
        assert all(name in child.stderr for name in ("llama-server", "info FOLDER", "--version"))


# Packages that are missing.

WITHOUT_NUMPY = "import sys\nsys.modules['numpy'] = None\n"


@pytest.mark.parametrize("module", MODULES)
def test_an_adapter_names_the_package_that_it_lacks_and_the_line_to_type(module: str) -> None:
    child = command(code=f"import prefixstore.adapters.{module}")
    last = child.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: prefixstore.adapters.{module} needs the package ")
    assert "which is not installed here. Install it: pip install " in last


def test_a_missing_numpy_is_installed_by_the_extra_of_the_adapter() -> None:
    child = command(
        code=WITHOUT_NUMPY + "from prefixstore.__main__ import main\nsys.exit(main(['llama-server', '--', 'true']))")
    assert child.returncode == 2
    assert child.stderr == (
        "prefixstore: prefixstore.adapters.llama_server needs the package numpy, which is not installed here. Install "
        'it: pip install "prefixstore[llama]"\n')
    child = command(code=WITHOUT_NUMPY + "import prefixstore.adapters.exllamav2")
    assert 'pip install "prefixstore[exllamav2]"' in child.stderr
