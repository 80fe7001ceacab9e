// The table `nodes`: prefix hash -> what a page is.

package import KVFormat

/// A page as the index knows it. Its children are what `edges` says: a count here would be a second truth.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<32 | parent: the prefix hash before, or the space root |
/// | 32..<64 | space root |
/// | 64..<68 | position of the first token |
/// | 68..<72 | tokens |
/// | 72..<76 | 0 |
/// | 76 | codec summary: the record's first codec number |
/// | 77 | flags |
/// | 78..<80 | 0 |
/// | 80..<88 | raw bytes |
/// | 88..<96 | encoded bytes |
/// | 96..<104 | created, milliseconds since the Unix epoch |
/// | 104.. | token ids, 4 bytes each; none for a foreign page |
/// | last 8 | XXH3-64 of the bytes before, seeded by the prefix hash |
package struct NodeRecord: Equatable, Sendable {
    /// What is special about a page.
    package struct Flags: OptionSet, Equatable, Sendable {
        /// The stored byte.
        package let rawValue: UInt8

        /// Flags from their byte.
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Fewer tokens than the page size: a leaf that a longer page replaces.
        package static let tail = Flags(rawValue: 1)
        /// Named by another engine's digest, its token ids unknown.
        package static let foreign = Flags(rawValue: 2)
        /// May expire; `recency` says when. Kept here too, so that matching a page takes one look-up and not two.
        package static let expires = Flags(rawValue: 4)
    }

    static let headerBytes = 104
    /// What a page costs in the index besides its token ids, about: node, edge, recency and queue entries in half-full
    /// LMDB pages.
    private static let indexOverhead = 768

    /// The prefix hash of the page before, or the space root.
    package var parent: PrefixHash
    /// The space.
    package var root: PrefixHash
    /// Position of the first token in its sequence.
    package var firstToken: UInt32
    /// Tokens of the page; as many as `tokens` unless the page is foreign.
    package var tokenCount: UInt32
    /// The record's codec number, for lists.
    package var codec: UInt8
    /// What is special about the page.
    package var flags: Flags
    /// Bytes of the decoded page.
    package var rawBytes: UInt64
    /// Bytes of the record, without padding.
    package var encodedBytes: UInt64
    /// Milliseconds since the Unix epoch.
    package var createdAt: Int64
    /// The page's token ids.
    package var tokens: [TokenID]

    /// Bytes that the page occupies on disk.
    package var physicalBytes: Int { SlotSize.physicalBytes(holding: Int(encodedBytes)) }

    /// Bytes that the page takes in the index, as the quota counts them.
    package var indexBytes: Int { Self.indexBytes(tokens: Int(tokenCount)) }

    /// Bytes that a page of `tokens` tokens takes in the index.
    package static func indexBytes(tokens: Int) -> Int { indexOverhead + 6 * tokens }

    /// The node of a page. The page's hash is its key, and no part of it.
    package init(
        _ name: PageName, codec: UInt8, flags: Flags, rawBytes: UInt64, encodedBytes: UInt64, createdAt: Int64
    ) {
        parent = name.parent
        root = name.root
        firstToken = UInt32(name.firstToken)
        tokenCount = UInt32(clamping: name.tokens.count)
        self.codec = codec
        self.flags = flags
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
        self.createdAt = createdAt
        tokens = Array(name.tokens)
    }

    /// Reads the node stored under `key`; nil when it is damaged or belongs to another key.
    package init?(_ bytes: RawSpan, key: PrefixHash) {
        self.init(fields: bytes, key: key)
        guard !flags.contains(.foreign) else { return }
        let count = Int(tokenCount)
        tokens = [TokenID](capacity: count) { output in
            for index in 0..<count { output.append(Self.token(index, of: bytes)) }
        }
    }

    /// As the above, without the token ids, which lie in `bytes` still: `commonRun`. Nothing is allocated.
    init?(fields bytes: RawSpan, key: PrefixHash) {
        guard bytes.byteCount >= Self.headerBytes + 8, bytes.endsWithChecksum(key: key) else { return nil }
        parent = PrefixHash(bytes, at: 0)
        root = PrefixHash(bytes, at: 32)
        firstToken = bytes.integer(at: 64, as: UInt32.self)
        tokenCount = bytes.integer(at: 68, as: UInt32.self)
        codec = bytes.integer(at: 76, as: UInt8.self)
        flags = Flags(rawValue: bytes.integer(at: 77, as: UInt8.self))
        rawBytes = bytes.integer(at: 80, as: UInt64.self)
        encodedBytes = bytes.integer(at: 88, as: UInt64.self)
        createdAt = bytes.integer(at: 96, as: Int64.self)
        let count = (bytes.byteCount - Self.headerBytes - 8) / 4
        guard Limits.pageSize.contains(Int(tokenCount)), firstToken < Limits.tokens,
            bytes.byteCount == Self.headerBytes + 4 * count + 8,
            count == (flags.contains(.foreign) ? 0 : Int(tokenCount)),
            rawBytes <= UInt64(Limits.pageBytes), encodedBytes <= 2 * UInt64(Limits.pageBytes)
        else { return nil }
        tokens = []
    }

    /// How many token ids the node in `bytes`, which `init(fields:key:)` has checked, begins with in common with `wanted`.
    static func commonRun(_ bytes: RawSpan, _ wanted: ArraySlice<TokenID>) -> Int {
        let stored = (bytes.byteCount - headerBytes - 8) / 4
        let limit = min(stored, wanted.count)
        var run = 0
        while run < limit, token(run, of: bytes) == wanted[wanted.startIndex + run] { run += 1 }
        return run
    }

    private static func token(_ index: Int, of bytes: RawSpan) -> TokenID {
        bytes.integer(at: headerBytes + 4 * index, as: TokenID.self)
    }

    /// The bytes stored under `key`.
    package func encoded(key: PrefixHash) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.headerBytes + 4 * tokens.count + 8)
        writer.append(parent)
        writer.append(root)
        writer.append(firstToken)
        writer.append(tokenCount)
        writer.append(UInt32(0))
        writer.append(codec)
        writer.append(flags.rawValue)
        writer.append(UInt16(0))
        writer.append(rawBytes)
        writer.append(encodedBytes)
        writer.append(createdAt)
        for token in tokens { writer.append(token) }
        writer.appendChecksum(key: key)
        return writer.bytes
    }
}
