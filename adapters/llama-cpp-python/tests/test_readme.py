"""What README.md shows of llama-cpp-python is a whole program, of five lines at most: run twice as it is printed, the
second process loads what the first one has computed."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[3] / "README.md"
MODEL = Path(os.environ["LLAMA_TEST_HOME"]) / "models" / "tiny.gguf"


def program():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return next(block for block in blocks if "prefixstore.adapters.llama_cpp" in block)


# A file that may not grow is a full disk that needs no rights to make.
NO_ROOM = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, -1))\n"


def prepare(folder):
    (folder / "model.gguf").symlink_to(MODEL)
    (folder / "prompt.txt").write_text("the library opens at nine and the maps are on the second floor " * 30)


def run(folder):
    """Runs the program in a process of its own. Returns what it printed, and how many tokens were loaded."""
    look = "open('loaded', 'w').write(str(llm.cache.restored_tokens))\n"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program() + look], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, int((folder / "loaded").read_text())


def test_it_has_five_lines_at_most():
    assert len([line for line in program().splitlines() if line.strip()]) <= 5


def test_its_second_run_is_a_warm_restart(tmp_path):
    prepare(tmp_path)
    first, computed = run(tmp_path)
    second, loaded = run(tmp_path)
    assert computed == 0 and loaded > 1000
    assert first == second and first.strip()


def test_on_a_full_disk_it_prints_its_reply_and_says_what_is_not_stored(tmp_path):
    prepare(tmp_path)
    full = program().replace("print(", NO_ROOM + "print(", 1)
    done = subprocess.run(
        [sys.executable, "-B", "-c", full], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.strip()
    assert "could not write everything" in done.stderr and "is full" in done.stderr
