"""An engine that was restarted goes on as if it had not been. Every run is a process of its own."""

import signal

import pytest
from support import DOCUMENT, run_host


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model", ["llama", "mistral", "qwen2", "qwen3", "llama-bfloat16", "small"])
def test_a_new_process_has_the_logits_of_a_live_hit(tmp_path, model, attention):
    live = run_host(tmp_path / "live", DOCUMENT, DOCUMENT + "when", model=model, attention=attention, live=True)
    stored = run_host(tmp_path / "kv", DOCUMENT, model=model, attention=attention)
    again = run_host(tmp_path / "kv", DOCUMENT + "when", model=model, attention=attention)
    computed, restored = stored["answers"][0], again["answers"][0]
    assert computed["reused"] == 0 and computed["logits"] == live["answers"][0]["logits"]
    assert restored["reused"] == live["answers"][1]["reused"] == len(DOCUMENT) > 1000
    assert restored["logits"] == live["answers"][1]["logits"] != computed["logits"]
    print(
        f"{model}, {attention}: {restored['reused']} of {restored['tokens']} tokens reused; first token after "
        f"{restored['seconds'] * 1e3:.1f} ms, computed {computed['seconds'] * 1e3:.1f} ms")


def test_generate_continues_as_on_a_live_cache(tmp_path):
    live = run_host(tmp_path / "live", DOCUMENT, DOCUMENT + "when", live=True, reply=20)
    run_host(tmp_path / "kv", DOCUMENT)
    first = run_host(tmp_path / "kv", DOCUMENT + "when", reply=20)["answers"][0]
    assert first["reused"] == len(DOCUMENT)
    assert first["reply"] == live["answers"][1]["reply"]


def test_what_was_flushed_is_there_after_a_kill(tmp_path):
    run_host(tmp_path, DOCUMENT, kill=True, status=-signal.SIGKILL)
    assert run_host(tmp_path, DOCUMENT + "when")["answers"][0]["reused"] == len(DOCUMENT)


@pytest.mark.parametrize("field, options", [
    ("weights", {"model": "llama-other"}),
    ("layout", {"model": "llama-bfloat16"}),
    ("page size", {"cache": {"page_tokens": 32}}),
    ("adapter", {"cache": {"changes": "a hook on layer 1"}}),
    ("salt", {"cache": {"salt": "0123456789abcdef"}}),
    ("engine", {"attention": "eager"}),
])
def test_what_differs_is_a_miss_and_a_sentence_says_what(tmp_path, field, options):
    run_host(tmp_path, DOCUMENT)
    missed = run_host(tmp_path, DOCUMENT, **options)
    assert missed["answers"][0]["reused"] == 0
    assert "differs in" in missed["explain"] and f"({field})" in missed["explain"]
    print(missed["explain"])
