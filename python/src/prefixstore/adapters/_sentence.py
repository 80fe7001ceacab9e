"""What `Space.explain` found, for people."""

from __future__ import annotations

from typing import Any, Dict, List


def sentence(explanation: Dict[str, Any], fields: Dict[str, str]) -> str:
    """How much is stored, or else in what the nearest space differs.

    `fields`: what an engine's people call the fields in which two spaces differ.
    """
    found = sum(explanation["found_tokens"].values())
    asked = explanation["requested_tokens"]
    if found:
        return f"{found} of {asked} tokens are stored."
    if not explanation["other_spaces"]:
        return f"None of {asked} tokens is stored."
    return f"None of {asked} tokens is stored for this context. {difference(explanation['other_spaces'], fields)}"


def difference(others: List[Dict[str, Any]], fields: Dict[str, str]) -> str:
    """In what the nearest of the other spaces differs. `fields`: as above."""
    nearest = min(others, key=lambda other: len(other["differs_in"]))
    names = [fields.get(name, name) + f" ({name})" for name in nearest["differs_in"]]
    return "What is stored differs in " + ", ".join(names) + "."
