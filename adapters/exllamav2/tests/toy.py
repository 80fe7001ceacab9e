"""A language model for the tests: its keys, values and next token depend on every byte that was cached before it.

So one wrong bit in a restored page changes the reply, and equal replies mean equal caches. It computes on the engines'
own cache tensors, by their own block tables; only the arithmetic of a transformer is missing.
"""

import torch

VOCABULARY = 960
PAGE = 256
# Numbers below this are exact in every element type of a cache.
_MODULUS = 251


class Toy:
    def __init__(self, seed):
        self._seed = seed
        #: Tokens that were computed.
        self.computed = 0

    @staticmethod
    def _marks(rows):
        """A number per row that every bit of it changes."""
        raw = rows.contiguous().view(torch.uint8).long()
        return raw @ (torch.arange(raw.shape[1]) * 7 % 29 + 1)

    def forward(self, ids, start, blocks, tensors):
        """Computes tokens from position `start` on. `tensors`: caches as [slots, numbers]; `blocks`: pages of the
        sequence. Returns logits, [tokens, vocabulary]."""
        slots = torch.tensor([int(blocks[at // PAGE]) * PAGE + at % PAGE for at in range(start + len(ids))])
        places = torch.arange(start + len(ids))
        state = 0
        for number, tensor in enumerate(tensors):
            state += (number + 1) * int((self._marks(tensor[slots[:start]]) * (places[:start] % 31 + 1)).sum())
        logits = torch.zeros((len(ids), VOCABULARY))
        for at, token in enumerate(ids):
            place = start + at
            base = (token * 37 + state + self._seed) % _MODULUS
            for number, tensor in enumerate(tensors):
                row = ((torch.arange(tensor.shape[1]) + number + 1) * (base + 1) % _MODULUS).to(tensor.dtype)
                tensor[slots[place]] = row
                state += (number + 1) * int(self._marks(row[None])[0]) * (place % 31 + 1)
            logits[at, (state * 11 + token) % VOCABULARY] = 10
            self.computed += 1
        return logits


class Tokenizer:
    """As much of a tokenizer as the jobs ask for."""

    def get_id_to_piece_list(self, *_):
        return [f"<{token}>" for token in range(VOCABULARY)]

    def decode(self, ids, decode_special_tokens=False):
        return ["".join(f"<{token}>" for token in row.tolist()) for row in ids]
