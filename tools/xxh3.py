"""XXH3-64 with a seed, in plain Python: what tools/check-format compares checksums with, so that no code of the store and
no library of its stands behind both sides. Slow, and right: written from the reference implementation's scalar code.
"""

MASK = (1 << 64) - 1
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def read(data, at, size=8):
    return int.from_bytes(data[at : at + size], "little")


def fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & MASK
    return h ^ h >> 32


def avalanche_xxh64(h):
    h = (h ^ h >> 33) * P64[1] & MASK
    h = (h ^ h >> 29) * P64[2] & MASK
    return h ^ h >> 32


def swap(value, size):
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def mix16(data, at, secret_at, seed):
    low = read(data, at) ^ (read(SECRET, secret_at) + seed & MASK)
    high = read(data, at + 8) ^ (read(SECRET, secret_at + 8) - seed & MASK)
    return fold(low, high)


def up_to_16(data, seed):
    n = len(data)
    if n > 8:
        low = read(data, 0) ^ ((read(SECRET, 24) ^ read(SECRET, 32)) + seed & MASK)
        high = read(data, n - 8) ^ ((read(SECRET, 40) ^ read(SECRET, 48)) - seed & MASK)
        return avalanche(n + swap(low, 8) + high + fold(low, high) & MASK)
    if n >= 4:
        seed ^= swap(seed & 0xFFFFFFFF, 4) << 32
        flip = (read(SECRET, 8) ^ read(SECRET, 16)) - seed & MASK
        h = (read(data, n - 4, 4) + (read(data, 0, 4) << 32)) ^ flip
        h ^= (h << 49 | h >> 15) & MASK ^ (h << 24 | h >> 40) & MASK
        h = h * 0x9FB21C651E98DF25 & MASK
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & MASK
        return h ^ h >> 28
    if n:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return avalanche_xxh64(combined ^ ((read(SECRET, 0, 4) ^ read(SECRET, 4, 4)) + seed & MASK))
    return avalanche_xxh64(seed ^ read(SECRET, 56) ^ read(SECRET, 64))


def up_to_240(data, seed):
    n = len(data)
    h = n * P64[0]
    if n <= 128:
        for step in range((n - 1) // 32 + 1):
            h += mix16(data, 16 * step, 32 * step, seed) + mix16(data, n - 16 * (step + 1), 32 * step + 16, seed)
        return avalanche(h & MASK)
    for step in range(8):
        h += mix16(data, 16 * step, 16 * step, seed)
    h = avalanche(h & MASK)
    for step in range(8, n // 16):
        h += mix16(data, 16 * step, 16 * (step - 8) + 3, seed)
    return avalanche(h + mix16(data, n - 16, 136 - 17, seed) & MASK)


def above_240(data, seed):
    secret = b"".join(
        ((read(SECRET, at) + (seed if at % 16 == 0 else -seed)) & MASK).to_bytes(8, "little")
        for at in range(0, len(SECRET), 8)
    )
    lanes = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]

    def accumulate(at, secret_at):
        for lane in range(8):
            value = read(data, at + 8 * lane)
            keyed = value ^ read(secret, secret_at + 8 * lane)
            lanes[lane ^ 1] = lanes[lane ^ 1] + value & MASK
            lanes[lane] = lanes[lane] + (keyed & 0xFFFFFFFF) * (keyed >> 32) & MASK

    stripes = (len(secret) - 64) // 8
    block = 64 * stripes
    blocks = (len(data) - 1) // block
    for start in range(0, blocks * block, block):
        for stripe in range(stripes):
            accumulate(start + 64 * stripe, 8 * stripe)
        for lane in range(8):
            value = lanes[lane]
            lanes[lane] = (value ^ value >> 47 ^ read(secret, len(secret) - 64 + 8 * lane)) * P32[0] & MASK
    for stripe in range((len(data) - 1 - blocks * block) // 64):
        accumulate(blocks * block + 64 * stripe, 8 * stripe)
    accumulate(len(data) - 64, len(secret) - 64 - 7)
    h = len(data) * P64[0]
    for pair in range(4):
        left = lanes[2 * pair] ^ read(secret, 11 + 16 * pair)
        h += fold(left, lanes[2 * pair + 1] ^ read(secret, 19 + 16 * pair))
    return avalanche(h & MASK)


def xxh3_64(data, seed=0):
    """XXH3-64 of `data`."""
    if len(data) <= 16:
        return up_to_16(data, seed)
    return up_to_240(data, seed) if len(data) <= 240 else above_240(data, seed)
