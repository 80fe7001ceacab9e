// The wire form: its bytes, and what is refused.

import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit

@testable import RemoteTier

@Suite("The wire form of a page")
struct WireTests {
    static let layout = KVLayout.small
    let pages: StoredPages

    init() throws {
        pages = try StoredPages("wire", layout: .small, sequences: [(0..<40).map { TokenID($0 * 3) }])
    }

    private func value(_ page: PageRecord) -> [UInt8] {
        WirePage.header(page.name, recordBytes: page.bytes.encodedBytes)
            + (unsafe page.bytes.bytes.withUnsafeBytes { unsafe Array($0) })
    }

    private func read(_ bytes: [UInt8], as page: PageRecord, root: PrefixHash? = nil) throws(RecordDamage) {
        let (_, record) = try WirePage.record(
            in: EncodedRecord(copying: unsafe bytes.span.bytes), key: page.name.hash, root: root ?? pages.root,
            layout: pages.layout, tokens: page.name.tokens.count, seal: page.name.seal)
        try record.verifyPayload()
    }

    @Test("has these bytes, in this version for ever")
    func golden() throws {
        let name = PageName(root: .zero, parent: .zero, firstToken: 16, tokens: [1, 2, 0x0403_0201])
        let hex = WirePage.header(name, recordBytes: 0x0102).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        #expect(
            hex == Self.goldenHead + name.hash.description + String(repeating: "0", count: 128) + Self.goldenTail)
    }

    static let goldenHead = "50465877697265" + "31" + "c0000000" + "00000000"
    static let goldenTail =
        "10000000" + "03000000" + "0201000000000000" + "010000000200000001020304" + String(repeating: "0", count: 88)
        + "49db1e364b403546"

    @Test("carries name, position and token ids, and the record as it is")
    func roundTrip() throws {
        for page in pages.records {
            let bytes = value(page)
            let found = try WirePage(
                unsafe bytes.span.bytes, key: page.name.hash, root: pages.root, seal: nil)
            #expect(found.name == page.name && found.recordOffset % 64 == 0)
            try read(bytes, as: page)
        }
    }

    @Test("is refused after a change of any byte")
    func everyByte() throws {
        let page = pages.records[1]
        let sound = value(page)
        for place in sound.indices {
            for change: UInt8 in [0x01, 0x80, 0xFF] {
                var bytes = sound
                bytes[place] ^= change
                #expect(throws: RecordDamage.self, "byte \(place)") { try read(bytes, as: page) }
            }
        }
    }

    @Test("is refused when it is cut, longer, another page's, or another space's")
    func misplaced() throws {
        let (first, second) = (pages.records[0], pages.records[1])
        let sound = value(first)
        for length in [0, 1, 64, 127, 128, 191, 192, sound.count - 1] {
            #expect(throws: RecordDamage.self) { try read(Array(sound.prefix(length)), as: first) }
        }
        #expect(throws: RecordDamage.self) { try read(sound + [0], as: first) }
        #expect(throws: RecordDamage.self) { try read(value(second), as: first) }
        #expect(throws: RecordDamage.wrongKey) { try read(sound, as: first, root: .zero) }
        // A sound header before the record of another page.
        let head = WirePage.header(first.name, recordBytes: second.bytes.encodedBytes)
        let mixed = head + (unsafe second.bytes.bytes.withUnsafeBytes { unsafe Array($0) })
        #expect(throws: RecordDamage.self) { try read(mixed, as: first) }
    }

    @Test("of a page whose token ids do not make its hash is refused, whatever its checksum")
    func forged() throws {
        let page = pages.records[0]
        var tokens = Array(page.name.tokens)
        tokens[3] += 1
        let forged = PageName(
            root: pages.root, parent: page.name.parent, hash: page.name.hash, firstToken: 0, tokens: tokens[...])
        let bytes =
            WirePage.header(forged, recordBytes: page.bytes.encodedBytes)
            + (unsafe page.bytes.bytes.withUnsafeBytes { unsafe Array($0) })
        #expect(throws: RecordDamage.wrongKey) { try read(bytes, as: page) }
    }

    @Test("of a sealed page shows no token id, and is read with the seal alone")
    func sealed() throws {
        let seal = SpaceSeal()
        let tokens: [TokenID] = (0..<16).map { 0x4142_4344 + TokenID($0) }
        let name = PageName(root: pages.root, parent: pages.root, firstToken: 0, tokens: tokens[...], seal: seal)
        let header = WirePage.header(name, recordBytes: 0)
        let text = [0x44, 0x43, 0x42, 0x41] as [UInt8]
        #expect(!header.indices.dropLast(4).contains { Array(header[$0..<$0 + 4]) == text })
        let found = try WirePage(unsafe header.span.bytes, key: name.hash, root: pages.root, seal: seal)
        #expect(found.name == name)
        #expect(throws: RecordDamage.sealed) {
            try WirePage(unsafe header.span.bytes, key: name.hash, root: pages.root, seal: nil)
        }
        #expect(throws: RecordDamage.badHeader) {
            try WirePage(unsafe header.span.bytes, key: name.hash, root: pages.root, seal: SpaceSeal())
        }
    }
}

extension KVLayout {
    /// Three layers of small pages.
    static let small: KVLayout = {
        guard let layout = try? KVLayout(layers: 3, kvHeads: 2, headDimension: 8, element: .bf16, pageSize: 16) else {
            preconditionFailure("a valid layout")
        }
        return layout
    }()
}
