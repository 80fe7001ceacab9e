"""The mistakes of the controls: caches that are wrong on purpose, to show that an engine's replies would tell.

    spoiled.py llama-server ...    `prefixstore llama-server` with the keys of some tokens wrong
"""

import ctypes
import sys

#: What the controls are called in the table.
ROWS = "a control: in one layer, every sixteenth token has the keys of its neighbour"
BLOCKS = "a control: a block of another prefix in place of the first of those stored at once"


def spoil_rows():
    """From now on every sixteenth token of each piece that comes from a store has the keys of its neighbour, in layer 0.
    For the adapters of llama.cpp."""
    from prefixstore.adapters import _llama_shape

    begin = _llama_shape.Frame.begin_load

    def begin_wrongly(frame, match, body, *more, **options):
        finish = begin(frame, match, body, *more, **options)

        def finish_wrongly():
            loaded = finish()
            row = frame.shape.forms[0].row
            keys = body[frame.offsets[0]:frame.offsets[0] + row * frame.count].reshape(frame.count, row)
            keys[8::16] = keys[7::16][:len(keys[8::16])]
            return loaded

        return finish_wrongly

    _llama_shape.Frame.begin_load = begin_wrongly


def spoil_blocks():
    """From now on the first block of each call that stores some gets the bytes of the one that was first in the call
    before, as far as they go: of another prefix. For the adapters of engines with blocks."""
    from prefixstore import Queue

    put = Queue.submit_put
    before = b""

    def put_wrongly(queue, keys, blocks):
        nonlocal before
        # The lists of SGLang's runs hold no keys and values.
        if keys and (not keys[0].startswith(b"run ") or keys[0].startswith(b"run bytes ")):
            own = bytes_of(blocks[0])
            wrong = bytearray(before[:len(own)] + own[len(before):])
            blocks, before = [cut_like(blocks[0], wrong), *blocks[1:]], own
        return put(queue, keys, blocks)

    Queue.submit_put = put_wrongly


def bytes_of(block):
    """A copy of the bytes of a block."""
    return b"".join(bytes_of_piece(piece) for piece in pieces_of(block))


def bytes_of_piece(piece):
    from prefixstore._buffers import Memory

    with Memory(piece, "a block", writable=False) as memory:
        return ctypes.string_at(memory.address, memory.nbytes)


def pieces_of(block):
    return block if isinstance(block, (list, tuple)) else [block]


def cut_like(block, content):
    """Other bytes in as many pieces as a block has."""
    pieces, at = [], 0
    for piece in pieces_of(block):
        length = len(bytes_of_piece(piece))
        pieces.append(content[at:at + length])
        at += length
    return pieces if isinstance(block, (list, tuple)) else pieces[0]


if __name__ == "__main__":
    from prefixstore.adapters import llama_server

    spoil_rows()
    sys.exit(llama_server.main(sys.argv[2:]))
