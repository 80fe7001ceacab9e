"""Write the demo's shared documents and prompts.

usage: prompts.py WORKDIR ASSETS

WORKDIR is prepare.py's. Takes four held-out documents, cuts the long ones at a
paragraph's end, and writes ASSETS/documents/*.txt, ASSETS/prompts/group-*.jsonl,
ASSETS/prompts/groups.json and ASSETS/prompts/README.md.
"""
import json, os, sys

from tokenizers import Tokenizer

LIMIT = 1870                # tokens of shared text, <|bos|> included
NEW_TOKENS = 24

# group: (package, document, file, endings)
GROUPS = {
    "a": ("debian-handbook", "sect.debian-internals", "debian-internals.txt", [
        "The Debian developers are responsible for",
        "In practice, the leader of the project must",
        "Who can propose an amendment to the Policy? Anyone",
        "The maintainer of a package should first of all",
        "When a new upstream version is released, the maintainer",
        "What does the Constitution define? It defines",
        "A general resolution is a vote in which the developers",
        "Users who find a bug in a package are invited to",
        "For this reason, the documentation of each package is",
        "Another important team in the project is the",
        "It is also possible to read the changelog file, which",
        "After the election, the new leader of the Debian project",
    ]),
    "b": ("debian-policy", "ch-scope", "debian-policy-scope.txt", [
        "In this manual, the term package means a",
        "Packages that do not meet these requirements must",
        "If a package contains a configuration file, it should",
        "What does the word should mean here? It means that",
        "The upstream maintainer of a program is the person who",
        "This chapter describes the format of the control file, which",
        "Every source package in the archive must include",
        "When the Release Team decides to make an exception, the",
        "A bug of severity serious in a package is",
        "Binary packages are installed on the system by",
        "Please send comments about this document to the",
        "For historical reasons, some packages may still",
    ]),
    "c": ("bible-kjv-text", "Jonah", "jonah.txt", [
        "And the word of the LORD came again unto Jonah, saying,",
        "Then the king of Nineveh arose, and spake unto all his people,",
        "But the men of the ship said unto their fellows,",
        "Why was Jonah angry? Because the LORD had",
        "Now therefore, O LORD, hear the voice of thy servant, and",
        "And it came to pass after these things, that the prophet",
        "Who shall stand before the fierce anger of the LORD? He that",
        "So the people of the city believed the words of the prophet, and",
        "Behold, the great fish which the LORD had prepared",
        "Let every man turn from his evil way, and let",
        "In that day shall the sea be calm, and the mariners shall",
        "Thus saith the LORD concerning that great city, The",
    ]),
    "d": ("developers-reference", "developer-duties", "maintainer-duties.txt", [
        "If a bug is found in the stable release, the maintainer should",
        "When you upload a new version of your package, please",
        "Release-critical bugs are those bugs which",
        "How should a developer keep the private key safe? You should",
        "Before the vote starts, the project secretary must",
        "You should also forward bug reports to the upstream",
        "The security team of the project can help you to",
        "Sometimes a package has to be removed from testing, because",
        "What should you do before going on vacation? You should",
        "Maintainers who no longer have time for their packages should",
        "A new developer must first of all read the",
        "For more information about the release process, see the",
    ]),
}


def cut(tok, text):
    """The longest run of whole paragraphs within LIMIT that does not end in a heading or a colon."""
    out = []
    for p in text.split("\n\n"):
        if len(tok.encode("\n\n".join([*out, p])).ids) > LIMIT:
            break
        out.append(p)
    while not out[-1].endswith((".", "?", "!")):
        out.pop()
    return "\n\n".join(out)


def main(work, assets):
    tok = Tokenizer.from_file(f"{work}/tokenizer.json")
    texts = {(d["source"], d["name"]): d["text"] for d in map(json.loads, open(f"{work}/held.jsonl"))}
    os.makedirs(f"{assets}/documents", exist_ok=True)
    os.makedirs(f"{assets}/prompts", exist_ok=True)
    groups, rows = [], []
    for g, (source, name, file, endings) in GROUPS.items():
        document = cut(tok, texts[source, name])
        with open(f"{assets}/documents/{file}", "w") as f:
            f.write(document + "\n")
        prompts = [f"{document}\n\n{e}" for e in endings]
        ids = [tok.encode(p).ids for p in prompts]
        shared = next(i for i, t in enumerate(zip(*ids)) if len(set(t)) > 1)
        tails = [len(i) - shared for i in ids]
        assert max(map(len, ids)) + NEW_TOKENS < 2048 and 8 <= min(tails) and max(tails) <= 20, (g, tails)
        with open(f"{assets}/prompts/group-{g}.jsonl", "w") as f:
            for n, p in enumerate(prompts, 1):
                f.write(json.dumps({"id": f"{g}-{n:02}", "prompt": p, "max_new_tokens": NEW_TOKENS}) + "\n")
        groups.append({"group": g, "file": f"group-{g}.jsonl", "shared_tokens": shared, "document": f"../documents/{file}"})
        rows.append(f"| {g} | `../documents/{file}` | {shared} | {len(prompts)} | {min(map(len, ids))} to {max(map(len, ids))} |")
    with open(f"{assets}/prompts/groups.json", "w") as f:
        f.write("[\n" + ",\n".join(" " + json.dumps(g) for g in groups) + "\n]\n")
    with open(f"{assets}/prompts/README.md", "w") as f:
        f.write(f"""# Demo prompts

Four groups. Every prompt of a group begins with the same document, then a blank line,
then its own short ending; each asks for {NEW_TOKENS} new tokens. Written by
`tools/train-demo/prompts.py`; `groups.json` holds the same figures for a program.

Shared tokens: the longest common prefix of the group's prompts as token ids of the demo
checkpoint's tokenizer, `<|bos|>` included.

| group | shared text | shared tokens | prompts | prompt tokens |
|---|---|---|---|---|
{chr(10).join(rows)}
""")
    print("\n".join(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
