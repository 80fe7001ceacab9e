// The number types of planes.

/// The type in which the numbers of a key or value vector are stored.
public enum KVElement: UInt8, Sendable, CaseIterable, LosslessStringConvertible {
    /// Bytes whose meaning the store does not know. Opaque pages are stored and loaded whole: they cannot be cut
    /// between tokens.
    case opaque = 0
    /// bfloat16: 1 sign, 8 exponent and 7 mantissa bits.
    case bf16 = 1
    /// IEEE 754 binary16.
    case fp16 = 2
    /// IEEE 754 binary32.
    case fp32 = 3
    /// 8-bit integers, with scales kept by the engine.
    case int8 = 4
    /// 8-bit floating point, 4 exponent and 3 mantissa bits.
    case fp8e4m3 = 5
    /// 8-bit floating point, 5 exponent and 2 mantissa bits.
    case fp8e5m2 = 6
    /// Bytes whose meaning the store does not know, one row per token: pages can be cut between tokens.
    case bytes = 7
    /// ggml's `q8_0`: a 16-bit scale and 32 numbers of 8 bits.
    case q8x0 = 8
    /// ggml's `q4_0`: a 16-bit scale and 32 numbers of 4 bits.
    case q4x0 = 9
    /// ggml's `q4_1`: scale and minimum of 16 bits, and 32 numbers of 4 bits.
    case q4x1 = 10
    /// ggml's `q5_0`: a 16-bit scale and 32 numbers of 5 bits.
    case q5x0 = 11
    /// ggml's `q5_1`: scale and minimum of 16 bits, and 32 numbers of 5 bits.
    case q5x1 = 12
    /// ggml's `iq4_nl`: a 16-bit scale and 32 numbers of 4 bits that index a table.
    case iq4nl = 13

    /// How many numbers are stored together as one group: 1, or 32 in the types of ggml, which calls such a group a
    /// block.
    public var groupCount: Int {
        switch self {
        case .opaque, .bf16, .fp16, .fp32, .int8, .fp8e4m3, .fp8e5m2, .bytes: 1
        case .q8x0, .q4x0, .q4x1, .q5x0, .q5x1, .iq4nl: 32
        }
    }

    /// Bytes of a group: one number, or 32 numbers with their common scale.
    public var groupBytes: Int {
        switch self {
        case .opaque, .int8, .fp8e4m3, .fp8e5m2, .bytes: 1
        case .bf16, .fp16: 2
        case .fp32: 4
        case .q8x0: 34
        case .q4x0, .iq4nl: 18
        case .q4x1: 20
        case .q5x0: 22
        case .q5x1: 24
        }
    }

    /// Bytes of one unit that the codecs split into planes of bytes: 2 or 4 for floating-point numbers of that size, 1
    /// for everything else.
    package var codecWidth: Int {
        switch self {
        case .bf16, .fp16: 2
        case .fp32: 4
        default: 1
        }
    }

    /// The name shown to people, such as `bf16` or `q8_0`.
    public var description: String {
        switch self {
        case .opaque: "opaque"
        case .bf16: "bf16"
        case .fp16: "fp16"
        case .fp32: "fp32"
        case .int8: "int8"
        case .fp8e4m3: "fp8e4m3"
        case .fp8e5m2: "fp8e5m2"
        case .bytes: "bytes"
        case .q8x0: "q8_0"
        case .q4x0: "q4_0"
        case .q4x1: "q4_1"
        case .q5x0: "q5_0"
        case .q5x1: "q5_1"
        case .iq4nl: "iq4_nl"
        }
    }

    /// The element type whose `description` is the given text; nil when there is none.
    public init?(_ description: String) {
        guard let found = Self.allCases.first(where: { $0.description == description }) else { return nil }
        self = found
    }
}
