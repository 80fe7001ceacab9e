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
    (tmp_path / "model.gguf").symlink_to(MODEL)
    (tmp_path / "prompt.txt").write_text("the library opens at nine and the maps are on the second floor " * 30)
    first, computed = run(tmp_path)
    second, loaded = run(tmp_path)
    assert computed == 0 and loaded > 1000
    assert first == second and first.strip()
