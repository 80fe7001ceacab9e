// Reads replies out of a stream of bytes that nobody vouches for. Versions 2 and 3 of the protocol.
//
// Short replies are parsed in a buffer. A long string is received straight into memory of its own, so that the bytes of
// a record are written once. A server that announces more than `largest` bytes ends the conversation.

internal import PageCodec

/// A parser of replies. Used by one thread at a time.
struct RespReader {
    /// From this many bytes on a string has memory of its own.
    static let bulkBytes = 8 << 10
    /// Bytes that are read at once while short replies are expected.
    private static let roomBytes = 16 << 10
    /// Limit on the bytes of a reply that is a list, with all that is in it, where one was asked for: a cluster of a
    /// thousand nodes needs less.
    static let longList = 4 << 20
    /// The limit otherwise: greetings are lists.
    static let shortList = 16 << 10
    /// Lists in lists: the deepest reply that is asked for has four.
    private static let depth = 8

    /// Limit on the bytes of one string.
    var largest: Int
    /// Limit on the bytes of a reply that is a list.
    var longest: Int

    private var buffer: [UInt8] = []
    private var start = 0
    private var end = 0
    private var bulk: Bulk?

    /// A long string on its way.
    private struct Bulk {
        let record: EncodedRecord
        let size: Int
        var received: Int
    }

    /// A reader that takes strings of up to `largest` bytes.
    init(largest: Int, longest: Int = shortList) { (self.largest, self.longest) = (largest, longest) }

    /// Whether it is between two replies.
    var isIdle: Bool { start == end && bulk == nil }

    /// Lends the place for the next bytes to `body`, which returns how many it has put there.
    mutating func receive<E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) {
        if var bulk, bulk.received < bulk.size {
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bulk.record.room[bulk.received..<bulk.size])
            bulk.received += try unsafe body(room)
            self.bulk = bulk
            return
        }
        makeRoom()
        let end = end
        var count = 0
        var span = buffer.mutableSpan
        try unsafe span.withUnsafeMutableBytes { (bytes) throws(E) in
            count = try unsafe body(UnsafeMutableRawBufferPointer(rebasing: bytes[end...]))
        }
        self.end += count
    }

    private mutating func makeRoom() {
        if start > 0 {
            buffer.replaceSubrange(0..<(end - start), with: buffer[start..<end])
            (start, end) = (0, end - start)
        }
        let wanted = end + Self.roomBytes
        if buffer.count < wanted { buffer += [UInt8](repeating: 0, count: wanted - buffer.count) }
    }

    /// The next reply; nil when it is not complete yet.
    ///
    /// - Throws: after an error nothing that comes later has a meaning.
    mutating func next() throws(RespFault) -> RespValue? {
        if bulk != nil { return try finishBulk() }
        guard start < end else { return nil }
        if try beginBulk() { return try finishBulk() }
        var parser = RespParser(buffer[start..<end], largest: largest, longest: longest)
        guard let value = try parser.value(depth: Self.depth) else {
            guard end - start <= longest + Self.roomBytes else { throw .tooLarge }
            return nil
        }
        start = parser.position
        return value
    }

    /// Begins to receive a long string, if one is next.
    private mutating func beginBulk() throws(RespFault) -> Bool {
        guard buffer[start] == UInt8(ascii: "$") else { return false }
        var parser = RespParser(buffer[(start + 1)..<end], largest: largest, longest: longest)
        guard let size = try parser.number(), size >= Self.bulkBytes else { return false }
        guard size <= largest else { throw .tooLarge }
        // The size is what a server says: the system need not have so much.
        guard let record = EncodedRecord(room: Int(size)) else { throw .tooLarge }
        let here = min(Int(size), end - parser.position)
        unsafe buffer.withUnsafeBytes { bytes in
            unsafe record.room.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[parser.position..<parser.position + here]))
        }
        start = parser.position + here
        bulk = Bulk(record: record, size: Int(size), received: here)
        return true
    }

    private mutating func finishBulk() throws(RespFault) -> RespValue? {
        guard let bulk, bulk.received == bulk.size, end - start >= 2 else { return nil }
        guard buffer[start] == 13, buffer[start + 1] == 10 else { throw .malformed }
        start += 2
        self.bulk = nil
        return .bulk(bulk.record)
    }
}

/// Parses one reply that lies in memory.
private struct RespParser {
    private let bytes: ArraySlice<UInt8>
    private(set) var position: Int
    private let largest: Int
    private let longest: Int

    init(_ bytes: ArraySlice<UInt8>, largest: Int, longest: Int) {
        self.bytes = bytes
        position = bytes.startIndex
        (self.largest, self.longest) = (largest, longest)
    }

    /// The value at the position; nil when it is not complete.
    mutating func value(depth: Int) throws(RespFault) -> RespValue? {
        guard position < bytes.endIndex else { return nil }
        let kind = bytes[position]
        position += 1
        switch kind {
        case UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: "("): return try line().map { .text(Array($0)) }
        case UInt8(ascii: "-"): return try line().map { .error(String(decoding: $0, as: UTF8.self)) }
        case UInt8(ascii: ":"): return try number().map { .integer($0) }
        case UInt8(ascii: "_"): return try line().map { _ in .null }
        case UInt8(ascii: "#"): return try line().map { .integer($0.first == UInt8(ascii: "t") ? 1 : 0) }
        case UInt8(ascii: "$"), UInt8(ascii: "="): return try string().map { $0.map { .text($0) } ?? .null }
        case UInt8(ascii: "!"):
            return try string().map { .error(String(decoding: $0 ?? [], as: UTF8.self)) }
        case UInt8(ascii: "*"), UInt8(ascii: "~"): return try list(perItem: 1, depth)
        case UInt8(ascii: "%"): return try list(perItem: 2, depth)
        case UInt8(ascii: ">"): return try list(perItem: 1, depth).map { _ in .push }
        case UInt8(ascii: "|"):
            // Attributes belong to the value behind them, and nobody has asked for any.
            guard depth > 0 else { throw .malformed }
            guard try list(perItem: 2, depth) != nil else { return nil }
            return try value(depth: depth - 1)
        default: throw .malformed
        }
    }

    /// The rest of a line, without its end.
    private mutating func line() throws(RespFault) -> ArraySlice<UInt8>? {
        guard let end = bytes[position...].firstIndex(of: 10) else {
            guard bytes.endIndex - position <= RespReader.bulkBytes else { throw .tooLarge }
            return nil
        }
        guard end > position, bytes[end - 1] == 13 else { throw .malformed }
        defer { position = end + 1 }
        return bytes[position..<end - 1]
    }

    /// The rest of a line as a number.
    mutating func number() throws(RespFault) -> Int64? {
        guard let digits = try line() else { return nil }
        guard digits.count <= 20, let number = Int64(String(decoding: digits, as: UTF8.self)) else { throw .malformed }
        return number
    }

    /// A counted string; the inner nil is the null string of version 2.
    private mutating func string() throws(RespFault) -> [UInt8]?? {
        guard let size = try number() else { return nil }
        guard size >= 0 else {
            if size == -1 { return .some(nil) }
            throw .malformed
        }
        guard size <= largest, size <= longest else { throw .tooLarge }
        guard bytes.endIndex - position >= Int(size) + 2 else { return nil }
        let end = position + Int(size)
        guard bytes[end] == 13, bytes[end + 1] == 10 else { throw .malformed }
        defer { position = end + 2 }
        return Array(bytes[position..<end])
    }

    private mutating func list(perItem: Int, _ depth: Int) throws(RespFault) -> RespValue? {
        guard let count = try number() else { return nil }
        if count == -1 { return .null }
        // Every value has at least three bytes.
        guard count >= 0, depth > 0 else { throw .malformed }
        guard count <= longest / 3 else { throw .tooLarge }
        var items: [RespValue] = []
        for _ in 0..<Int(count) * perItem {
            guard let item = try value(depth: depth - 1) else { return nil }
            items.append(item)
        }
        return .list(items)
    }
}
