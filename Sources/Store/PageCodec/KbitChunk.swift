// The top bytes of one chunk of the kbit codec.

internal import CPlanes

/// Where the parts of a chunk's coded top bytes lie. With codes of `k` bits for `n` elements they are
///
/// | bytes | field |
/// | ---: | --- |
/// | `2^k - 1` | the values of the codes, the most frequent first |
/// | `8 * k * ceil(n / 64)` | codes: `k` words per group of 64 elements; bit `i` of word `j` is bit `j` of code `i` |
/// | `e` | the top bytes whose code is the escape, `2^k - 1`, in order |
///
/// The chunk's head is `k | e << 8`. With `k` = 0 there are no codes, every top byte is an escape, and `e` is `n`.
@safe
struct KbitChunk {
    let bits: Int
    let escapeCount: Int
    let values: UnsafePointer<UInt8>
    let codes: UnsafePointer<UInt8>
    let escapes: UnsafePointer<UInt8>

    /// The most bytes that the coded top bytes of `count` elements need while they are written.
    static func bound(_ count: Int) -> Int {
        Int(CPLANES_KBIT_VALUES) + codeBytes(bits: Int(CPLANES_KBIT_MAX), count: count) + count + 1
    }

    /// Bytes of the codes of `count` elements.
    static func codeBytes(bits: Int, count: Int) -> Int { 8 * bits * ((count + 63) / 64) }

    /// The head of a chunk.
    static func head(bits: Int, escapeCount: Int) -> UInt32 { UInt32(bits | escapeCount << 8) }

    /// Bytes of the coded top bytes of `count` elements under `head`; nil when such a chunk is impossible.
    static func codedBytes(_ head: UInt32, count: Int) -> Int? {
        let (bits, escapeCount) = (Int(head & 255), Int(head >> 8))
        guard bits <= Int(CPLANES_KBIT_MAX), escapeCount <= count, bits > 0 || escapeCount == count else { return nil }
        return (1 << bits) - 1 + codeBytes(bits: bits, count: count) + escapeCount
    }

    /// The parts of `coded`, which has as many bytes as `codedBytes` says.
    @unsafe
    init(_ head: UInt32, _ coded: UnsafePointer<UInt8>, count: Int) {
        bits = Int(head & 255)
        escapeCount = Int(head >> 8)
        unsafe values = coded
        unsafe codes = coded + (1 << bits) - 1
        unsafe escapes = codes + Self.codeBytes(bits: bits, count: count)
    }

    /// The codes, before any of them is used.
    @unsafe
    func begin() -> cplanes_kbit_codes {
        unsafe cplanes_kbit_begin(codes, Int32(bits), values, escapes, escapeCount)
    }
}
