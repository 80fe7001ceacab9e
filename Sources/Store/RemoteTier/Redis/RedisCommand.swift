// Commands as they go over the wire: lists of strings, of which one may be a page with its record.

internal import Records

/// Bytes on their way to a server.
enum OutPiece: Sendable {
    case bytes([UInt8])
    /// A record, which is sent from where it lies.
    case record(RecordBytes)

    var byteCount: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .record(let record): record.encodedBytes
        }
    }
}

/// One command.
struct RedisCommand: Sendable {
    /// The slot of its key; nil when any server can answer.
    let slot: UInt16?
    /// Whether it changes something: then only a primary takes it.
    let changes: Bool
    /// Bytes of the answer, about: so many are on their way at once.
    let weight: Int
    /// Whether the answer may be a long list, or a long text that is none of the tier's values.
    let hasLongAnswer: Bool
    let pieces: [OutPiece]

    /// A command that is a list of strings.
    init(
        _ words: [[UInt8]], slot: UInt16? = nil, changes: Bool = false, weight: Int? = nil, hasLongAnswer: Bool = false
    ) {
        self.slot = slot
        self.changes = changes
        self.weight = weight ?? Self.shortAnswer
        self.hasLongAnswer = hasLongAnswer
        pieces = [.bytes(Self.encoded(words, count: words.count))]
    }

    /// A command without a key.
    init(_ words: String..., hasLongAnswer: Bool = false) {
        self.init(words.map { Array($0.utf8) }, hasLongAnswer: hasLongAnswer)
    }

    /// `SET key value [option...]` with a page as the value: its header, and its record from where it lies.
    init(set key: [UInt8], _ header: [UInt8], _ record: RecordBytes, options: [String]) {
        slot = SlotMap.slot(of: key)
        changes = true
        weight = Self.shortAnswer
        hasLongAnswer = false
        var head = Self.encoded([Array("SET".utf8), key], count: 3 + options.count)
        head += Array("$\(header.count + record.encodedBytes)\r\n".utf8) + header
        var tail = Array("\r\n".utf8)
        for option in options { Self.append(Array(option.utf8), to: &tail) }
        pieces = [.bytes(head), .record(record), .bytes(tail)]
    }

    /// What goes before a command that a server of the old owner of a slot has sent elsewhere.
    static let asking = RedisCommand("ASKING")

    /// Whether it is about pages: then it has a long answer, or brings a record.
    var kind: CircuitBreaker.Kind { weight > Self.shortAnswer || pieces.count > 1 ? .page : .question }

    /// Bytes of an answer that is a number or a short text.
    private static let shortAnswer = 16

    /// Bytes that go over the network for it, about.
    var transferBytes: Int { pieces.reduce(weight) { $0 + $1.byteCount } }

    private static func encoded(_ words: [[UInt8]], count: Int) -> [UInt8] {
        var bytes = Array("*\(count)\r\n".utf8)
        for word in words { append(word, to: &bytes) }
        return bytes
    }

    private static func append(_ word: [UInt8], to bytes: inout [UInt8]) {
        bytes += Array("$\(word.count)\r\n".utf8)
        bytes += word
        bytes += [13, 10]
    }
}
