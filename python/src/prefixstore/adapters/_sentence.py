"""What `Space.explain` found, for people."""

from __future__ import annotations

from typing import Any, Dict


def sentence(explanation: Dict[str, Any], fields: Dict[str, str]) -> str:
    """How much is stored, or else in what the nearest space differs.

    `fields`: what an engine's people call the fields in which two spaces differ.
    """
    found = sum(explanation["found_tokens"].values())
    asked = explanation["requested_tokens"]
    if found:
        return f"{found} of {asked} tokens are stored."
    others = sorted(explanation["other_spaces"], key=lambda other: len(other["differs_in"]))
    if not others:
        return f"None of {asked} tokens is stored."
    names = [fields.get(name, name) + f" ({name})" for name in others[0]["differs_in"]]
    return f"None of {asked} tokens is stored for this context. What is stored differs in " + ", ".join(names) + "."
