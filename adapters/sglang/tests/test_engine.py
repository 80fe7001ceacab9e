"""The real engine on the CPU: one that was restarted goes on as if it had not been. Every run is processes of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prefixstore.testing import damage

HOST = Path(__file__).with_name("host.py")
MODELS = Path(os.environ["SGLANG_TEST_MODELS"])
SHORT = [9, 8, 7] * 20
DOCUMENT = [at * 7919 % 251 for at in range(1088)]  # 17 pages of 64 tokens.
QUESTION = DOCUMENT + [3, 1, 4, 1, 5, 9, 2, 6]


def run(folder, *prompts, model="llama", status=0, **options):
    """Answers of a new engine, and what it has logged."""
    options["prefixstore"] = {"folder": str(folder), "model": str(MODELS / model), **options.pop("given", {})}
    arguments = [sys.executable, "-B", HOST, MODELS / model, json.dumps(options), json.dumps(prompts)]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=540)
    assert ended.returncode == status, ended.stdout[-3000:] + ended.stderr[-5000:]
    lines = ended.stdout.splitlines()
    return [json.loads(line[7:]) for line in lines if line.startswith("RESULT ")], ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """An engine that answers a document, then a question behind it from its own prefix cache, and is killed."""
    folder = tmp_path_factory.mktemp("store") / "kv"
    (short, document, question), _ = run(folder, SHORT, DOCUMENT, QUESTION, kill=True, status=-signal.SIGKILL)
    assert short["cached"] == document["cached"] == 0
    assert question["cached"] == len(DOCUMENT)
    return folder, question


def test_a_new_process_has_the_log_probabilities_of_a_live_hit(lived):
    folder, live = lived
    (short, restored), _ = run(folder, SHORT, QUESTION)
    print(f"{restored['cached']} of {restored['tokens']} tokens came from the store after a SIGKILL: {restored['where']}")
    assert restored["cached"] == len(DOCUMENT) > 1000
    assert restored["logprobs"] == live["logprobs"] and restored["reply"] == live["reply"]


def test_damaged_pages_are_computed(lived, tmp_path):
    folder, live = lived
    copy = tmp_path / "kv"
    shutil.copytree(folder, copy)
    assert damage(copy) >= len(DOCUMENT) // 64
    (computed,), _ = run(copy, QUESTION)
    assert computed["cached"] == 0
    assert computed["reply"] == live["reply"]


def test_other_weights_of_the_same_shape_find_nothing_and_the_log_says_why(lived, tmp_path):
    folder, _ = lived
    copy = tmp_path / "kv"
    shutil.copytree(folder, copy)
    (missed,), log = run(copy, QUESTION, model="llama-other")
    assert missed["cached"] == 0
    assert "has none of" in log and "(weights)" in log


def test_without_an_identity_the_engine_does_not_start_and_says_why(tmp_path):
    _, log = run(tmp_path / "kv", SHORT, given={"model": ""}, status=-signal.SIGKILL)
    assert "digest tells models apart" in log
