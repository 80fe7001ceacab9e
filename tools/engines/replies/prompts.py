"""The prompts: token ids that share beginnings, branch, and are cut inside pages."""

import random

# Token ids of bytes in the small models of tools/engines: every model knows them, and none has a special meaning.
FIRST, LAST = 10, 250
DOCUMENT_TOKENS = (150, 420)
TAIL_TOKENS = (5, 60)
FILLER_TOKENS = 1900


def some(source, least, most):
    return [source.randint(FIRST, LAST) for _ in range(source.randint(least, most))]


def prompts(count, seed):
    """`count` prompts. A quarter are questions about one of a few documents, a quarter leave an earlier prompt at any
    token, an eighth are the beginning of one, an eighth add to one, and the rest share nothing or one of the documents.
    """
    source = random.Random(seed)
    documents = [some(source, *DOCUMENT_TOKENS) for _ in range(max(2, count // 16))]
    made = []
    for at in range(count):
        earlier = source.choice(made) if made else source.choice(documents)
        kind = at % 8
        if kind in (2, 3):
            tokens = earlier[:source.randrange(1, len(earlier))] + some(source, *TAIL_TOKENS)
        elif kind == 5:
            tokens = earlier[:source.randrange(len(earlier) // 2, len(earlier))]
        elif kind == 6 and len(earlier) < 2 * DOCUMENT_TOKENS[1]:
            tokens = earlier + some(source, *TAIL_TOKENS)
        elif kind == 7:
            tokens = some(source, *DOCUMENT_TOKENS)
        else:
            tokens = source.choice(documents) + some(source, *TAIL_TOKENS)
        made.append(tokens)
    return made


def fillers(count, seed):
    """Long prompts that share nothing: what pushes others out of a store with a small quota."""
    source = random.Random(f"fillers {seed}")
    return [some(source, FILLER_TOKENS, FILLER_TOKENS) for _ in range(count)]
