"""Which tokens an engine computed together: sums of other batches are rounded in another way.

A reply is compared with that of the engine's own live prefix, computed in the same batches. A cache hands out keys and
values that some earlier prompt computed, so this file remembers for each token whether a batch began with it.
"""


class _Token:
    __slots__ = ("begins", "children")

    def __init__(self, begins):
        self.begins, self.children = begins, {}


class Splits:
    """The batches in which a store's tokens were computed: a tree of tokens."""

    def __init__(self):
        self._root = _Token(True)

    def cuts(self, tokens, reused):
        """Where batches begin behind token 0 when the first `reused` tokens of a prompt come from the store.

        None: the store never was given these tokens, so that they are another prompt's.
        """
        found, at = [], self._root
        for position, token in enumerate(tokens[:reused]):
            at = at.children.get(token)
            if at is None:
                return None
            if at.begins and position > 0:
                found.append(position)
        return tuple(found + [reused]) if reused else ()

    def served(self, tokens, reused, reply):
        """Remembers a prompt that was served, whose tokens behind `reused` were computed at once, and its reply, whose
        tokens were computed one by one. The last token of a reply is never computed."""
        at = self._root
        for position, token in enumerate(tokens + reply[:-1]):
            known = at.children.get(token)
            begins = position == reused or position >= len(tokens)
            # The last token of a prompt is computed for its logits also when it is stored; then it is not stored again.
            if known is None:
                known = at.children[token] = _Token(begins)
            elif position >= reused and (position, reused) != (len(tokens) - 1, len(tokens) - 1):
                known.begins = begins
            at = known
