// Pages of some sequences as records, and every byte of them to compare with.

package import KVFormat
package import PageCodec
package import Records
internal import TestKit

/// The pages of sequences of one model, encoded.
package struct StoredPages: Sendable {
    /// The space.
    package let descriptor: SpaceDescriptor
    /// The sequences.
    package let sequences: [[TokenID]]
    /// Each page once, after the page that it follows.
    package let records: [PageRecord]

    /// Shape of a page.
    package var layout: KVLayout { descriptor.layout }
    /// The space root.
    package var root: PrefixHash { descriptor.root }

    /// Encodes the pages of a model of this name.
    package init(_ name: String, layout: KVLayout, sequences: [[TokenID]], codec: CodecChoice = .zstd) throws {
        descriptor = try ModelIdentity(
            weights: .sha256(Array(name.utf8)), layout: layout, positions: "none", tokenizer: .sha256([]),
            engine: "test", engineFormat: 1
        ).descriptor
        self.sequences = sequences
        let encoder = RecordEncoder()
        var records: [PrefixHash: PageRecord] = [:]
        var order: [PrefixHash] = []
        for sequence in sequences {
            for name in Self.names(sequence, descriptor) where records[name.hash] == nil {
                let bytes = Self.bytes(sequence, name, descriptor)
                let record = try unsafe bytes.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { throw StoreError.invalidPages("a page without bytes") }
                    return unsafe encoder.encode(
                        page: PageSource(base, capacity: name.tokens.count), tokens: name.tokens.count,
                        layout: layout, key: name.hash, codec: codec)
                }
                records[name.hash] = PageRecord(name, RecordBytes(record), lastUse: 1000)
                order.append(name.hash)
            }
        }
        self.records = order.compactMap { records[$0] }
    }

    /// The names of the pages of a sequence.
    private static func names(_ sequence: [TokenID], _ space: SpaceDescriptor) -> [PageName] {
        var parent = space.root
        let root = parent
        let size = space.layout.pageSize
        return stride(from: 0, to: sequence.count, by: size).map { start in
            let name = PageName(
                root: root, parent: parent, firstToken: start,
                tokens: sequence[start..<min(start + size, sequence.count)])
            parent = name.hash
            return name
        }
    }

    /// The bytes of a page.
    private static func bytes(_ sequence: [TokenID], _ name: PageName, _ space: SpaceDescriptor) -> [UInt8] {
        GeneratedPages(space.layout, seed: space.root.prefixWord)
            .bytes(sequence, name.firstToken..<name.firstToken + name.tokens.count)
    }

    /// What to ask a tier for to have all pages.
    package var requests: [RecordRequest] {
        records.map { RecordRequest(hash: $0.name.hash, tokenCount: $0.name.tokens.count) }
    }

    /// A tier in memory with all of them.
    package func tier() -> MemoryTier {
        let tier = MemoryTier([root: layout])
        for record in records { tier.plant(record) }
        return tier
    }

    /// Loads a sequence and compares every byte. Answers the tokens delivered; nil when a delivered byte is not the
    /// right one.
    package func load(_ sequence: [TokenID], from tier: any RecordTier, _ loader: RecordLoader) throws -> Int? {
        let names = Self.names(sequence, descriptor)
        let size = layout.bytesPerPage
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: names.count * size, alignment: 64)
        defer { unsafe memory.deallocate() }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
        guard let base = memory.baseAddress else { return 0 }
        let loads = names.enumerated().map { page, name in
            unsafe RecordLoad(
                hash: name.hash, tokens: name.tokens.count, tokenCount: name.tokens.count,
                target: PageTarget(base + page * size, capacity: name.tokens.count))
        }
        let delivered = try loader.load(loads, of: layout, from: tier)
        for page in 0..<delivered {
            let expected = Self.bytes(sequence, names[page], descriptor)
            guard unsafe Array(memory[page * size..<page * size + expected.count]) == expected else { return nil }
        }
        return names[..<delivered].reduce(0) { $0 + $1.tokens.count }
    }
}
