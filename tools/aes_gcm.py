"""AES-256-GCM in plain Python, for tools/check-format: it shares no code with the store, which uses libcrypto.

    python3 tools/aes_gcm.py    checks itself against a published test vector; nothing, or one line

Slow, and its time depends on the key: for test vectors alone. FIPS 197 and NIST SP 800-38D.
"""

import sys


def _xtime(a):
    return (a << 1) ^ (0x11B if a & 0x80 else 0)


def _multiply(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = _xtime(a), b >> 1
    return product


def _sbox():
    box = [0x63] * 256
    for value in range(1, 256):
        inverse = next(other for other in range(1, 256) if _multiply(value, other) == 1)
        box[value] = 0x63
        for turn in range(5):
            box[value] ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
    return box


SBOX = _sbox()


def _round_keys(key):
    words = [list(key[index : index + 4]) for index in range(0, 32, 4)]
    constant = 1
    for index in range(8, 60):
        word = list(words[-1])
        if index % 8 == 0:
            word = [SBOX[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _xtime(constant)
        elif index % 8 == 4:
            word = [SBOX[byte] for byte in word]
        words.append([a ^ b for a, b in zip(words[-8], word)])
    return [sum(words[index : index + 4], []) for index in range(0, 60, 4)]


def _mixed(column):
    return [
        _multiply(column[i], 2) ^ _multiply(column[(i + 1) % 4], 3) ^ column[(i + 2) % 4] ^ column[(i + 3) % 4]
        for i in range(4)
    ]


def _encrypt_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number, key in enumerate(keys[1:], 1):
        state = [SBOX[state[(index + 4 * (index % 4)) % 16]] for index in range(16)]
        if number < len(keys) - 1:
            state = sum((_mixed(state[index : index + 4]) for index in range(0, 16, 4)), [])
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(state)


def _product(x, y):
    """The product in GCM's field, whose bits run from the highest to the lowest."""
    z = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


def encrypt(key, nonce, plain, known=b""):
    """Ciphertext and tag of `plain`; the tag covers `known` too. The nonce has 12 bytes."""
    keys = _round_keys(key)
    subkey = int.from_bytes(_encrypt_block(keys, bytes(16)), "big")

    def stream(number):
        return _encrypt_block(keys, nonce + number.to_bytes(4, "big"))

    parts = [plain[index : index + 16] for index in range(0, len(plain), 16)]
    sealed = b"".join(bytes(a ^ b for a, b in zip(part, stream(number))) for number, part in enumerate(parts, 2))
    total = 0
    padded = known + bytes(-len(known) % 16) + sealed + bytes(-len(sealed) % 16)
    padded += (8 * len(known)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    for index in range(0, len(padded), 16):
        total = _product(total ^ int.from_bytes(padded[index : index + 16], "big"), subkey)
    return sealed, bytes(a ^ b for a, b in zip(total.to_bytes(16, "big"), stream(1)))


def main():
    # Test case 16 of the GCM specification by McGrew and Viega.
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    known = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    _, tag = encrypt(key, bytes.fromhex("cafebabefacedbaddecaf888"), plain, known)
    if tag.hex() != "76fc6ece0f4e1768cddf8853bb2d551b":
        print("aes_gcm: the published test vector fails")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
