// Replies out of bytes, however they are cut, and whatever they claim.

import PageCodec
import Testing

@testable import RemoteTier

@Suite("Replies of a server")
struct RespTests {
    /// Feeds bytes in pieces of `size`, and returns the replies in the form of text.
    private func read(_ bytes: [UInt8], pieces size: Int, largest: Int = 1 << 20) throws -> [String] {
        var reader = RespReader(largest: largest)
        var found: [String] = []
        var position = 0
        while position < bytes.count {
            let end = min(position + size, bytes.count)
            unsafe reader.receive { room in
                let count = min(room.count, end - position)
                unsafe room.copyBytes(from: bytes[position..<position + count])
                position += count
                return count
            }
            while let reply = try reader.next() { found.append(text(reply)) }
        }
        return found
    }

    private func text(_ value: RespValue) -> String {
        switch value {
        case .text(let bytes): "text(\(String(decoding: bytes, as: UTF8.self)))"
        case .bulk(let record): "bulk(\(record.byteCount), \(sum(record)))"
        case .error(let text): "error(\(text))"
        case .integer(let number): "\(number)"
        case .null: "null"
        case .list(let items): "[" + items.map(text).joined(separator: ", ") + "]"
        case .push: "push"
        }
    }

    private func sum(_ record: EncodedRecord) -> Int {
        unsafe record.bytes.withUnsafeBytes { unsafe $0.reduce(0) { $0 &* 31 &+ Int($1) } }
    }

    @Test("of both versions are read, wherever the bytes are cut", arguments: [1, 2, 3, 7, 100, 100_000])
    func values(pieces: Int) throws {
        let long = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        var bytes = Array("+OK\r\n-MOVED 12 a:1\r\n:-7\r\n$5\r\nhe\r\no\r\n$-1\r\n*-1\r\n$0\r\n\r\n".utf8)
        bytes += Array("$20000\r\n".utf8) + long + Array("\r\n".utf8)
        bytes += Array("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=5\r\ntxt:a\r\n!3\r\nERR\r\n".utf8)
        bytes += Array(">1\r\n+news\r\n%1\r\n+a\r\n:1\r\n~1\r\n:2\r\n|1\r\n+ttl\r\n:3\r\n:4\r\n".utf8)
        let expected = [
            "text(OK)", "error(MOVED 12 a:1)", "-7", "text(he\r\no)", "null", "null", "text()",
            "bulk(20000, \(long.reduce(0) { $0 &* 31 &+ Int($1) }))", "[1, [text(x)]]", "null", "1", "text(1.5)",
            "text(123)", "text(txt:a)", "error(ERR)", "push", "[text(a), 1]", "[2]", "4",
        ]
        #expect(try read(bytes, pieces: pieces) == expected)
    }

    @Test(
        "that break the protocol end the conversation",
        arguments: [
            "hello\r\n", ":12a\r\n", "$-2\r\n", "$3\r\nabcd\r\n", "*-2\r\n", "+a\n", "$99999999999999999999\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        ])
    func malformed(bytes: String) throws {
        #expect(throws: RespFault.malformed) { try read(Array(bytes.utf8), pieces: 100) }
    }

    @Test(
        "that announce more than may come end the conversation before memory is taken for it",
        arguments: ["$1048577\r\n", "*999999999\r\n", "%2147483647\r\n"])
    func tooLarge(bytes: String) throws {
        #expect(throws: RespFault.tooLarge) { try read(Array(bytes.utf8), pieces: 100) }
    }

    @Test("a line without an end is not collected for ever")
    func endless() throws {
        #expect(throws: RespFault.tooLarge) { try read([UInt8](repeating: 43, count: 100_000), pieces: 1000) }
    }
}
