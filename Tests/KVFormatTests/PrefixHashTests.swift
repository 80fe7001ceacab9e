// Prefix hashes: published test vectors, made with Python's hashlib.

import KVFormat
import Testing

@Suite("A prefix hash")
struct PrefixHashTests {
    static let root = PrefixHash.sha256(Array("root".utf8))

    @Test("is SHA-256 over tag, parent, token count and token ids")
    func vectors() {
        #expect(Self.root.description == "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2")
        let first = PrefixHash.page(after: Self.root, tokens: (0..<64).map { TokenID($0) }[...])
        #expect(first.description == "2d94178e05a99cf65a6bf51b5b1e8da2115a4afa7f59ec48bf4916fe233b350b")
        let second = PrefixHash.page(after: first, tokens: [7, 8, .max])
        #expect(second.description == "3ad95c243d157d4998622957dbbd5a736ae83ab9c5f7744945e5ded03633c982")
    }

    @Test("chains page by page, the tail last")
    func chain() {
        let tokens = (0..<64).map { TokenID($0) } + [7, 8, .max]
        let hashes = PrefixHash.chain(from: Self.root, tokens: tokens[...], pageSize: 64)
        #expect(hashes.map(\.short) == ["2d94178e05a9", "3ad95c243d15"])
        #expect(PrefixHash.chain(from: Self.root, tokens: [], pageSize: 64).isEmpty)
    }

    @Test("depends on the parent, on every token id and on how many there are")
    func sensitive() {
        let base = PrefixHash.page(after: Self.root, tokens: [1, 2, 3])
        #expect(base != PrefixHash.page(after: base, tokens: [1, 2, 3]))
        #expect(base != PrefixHash.page(after: Self.root, tokens: [1, 2]))
        #expect(base != PrefixHash.page(after: Self.root, tokens: [1, 2, 4]))
        #expect(base != PrefixHash.page(after: Self.root, tokens: [1, 2, 3, 0]))
    }

    @Test("is read back from its bytes and its digits, and from nothing else")
    func roundTrips() {
        let hash = Self.root
        #expect(PrefixHash(bytes: hash.bytes) == hash)
        #expect(PrefixHash(hex: hash.description) == hash)
        #expect(PrefixHash(hex: hash.description.uppercased()) == hash)
        #expect(PrefixHash(bytes: hash.bytes.dropLast()) == nil)
        #expect(PrefixHash(hex: String(hash.description.dropLast())) == nil)
        #expect(PrefixHash(hex: String(repeating: "g", count: 64)) == nil)
    }

    @Test("sorts as its bytes do")
    func order() {
        let low = PrefixHash(bytes: [UInt8](repeating: 1, count: 32))
        let high = PrefixHash(bytes: [UInt8](repeating: 1, count: 31) + [2])
        #expect(low != nil && high != nil)
        if let low, let high { #expect(low < high && !(high < low)) }
    }
}
