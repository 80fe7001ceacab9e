// The table `nodes`: prefix hash -> description of a page.

package import KVFormat

/// A page or block as the index knows it. Only `edges` says which children it has: a count here could contradict it.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<32 | parent: the prefix hash before, or the space root |
/// | 32..<64 | space root |
/// | 64..<68 | position of the first token; for a block, how many blocks come before it |
/// | 68..<72 | tokens; 0 for a block |
/// | 72 | codec summary: the record's first codec number |
/// | 73 | flags |
/// | 74..<82 | raw bytes |
/// | 82..<90 | encoded bytes |
/// | 90..<98 | created, milliseconds since the Unix epoch |
/// | 98.. | token ids, 4 bytes each; or the key of a block |
/// | last 8 | XXH3-64 of the bytes before, seeded by the prefix hash |
///
/// `NodeRecord+Sealing.swift` has what stands in the place of that field in a sealed node.
package struct NodeRecord: Equatable, Sendable {
    /// What is special about a page.
    package struct Flags: OptionSet, Equatable, Sendable {
        /// The stored byte.
        package let rawValue: UInt8

        /// Flags from their byte.
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Fewer tokens than the page size: a leaf that a longer page replaces.
        package static let tail = Flags(rawValue: 1)
        /// A block: found by a key that an engine chooses, and not by token ids.
        package static let block = Flags(rawValue: 2)
        /// The page may expire; `recency` says when. The flag is here too, so that matching a page takes one look-up,
        /// not two.
        package static let expires = Flags(rawValue: 4)
        /// Token ids or key are sealed.
        package static let sealed = Flags(rawValue: 8)

        fileprivate static let known: Flags = [.tail, .block, .expires, .sealed]
    }

    static let headerBytes = 98
    /// About how many bytes a page costs in the index, besides its token ids or key: node, edge, recency and queue
    /// entries in half-full LMDB pages.
    private static let indexOverhead = 768

    /// The prefix hash of the page before, or the space root.
    package var parent: PrefixHash
    /// The space.
    package var root: PrefixHash
    /// Position of the first token in its sequence; for a block, how many blocks come before it.
    package var firstToken: UInt32
    /// Number of tokens in the page; 0 for a block.
    package var tokenCount: UInt32
    /// The record's codec number, for listings.
    package var codec: UInt8
    /// What is special about the page.
    package var flags: Flags
    /// Bytes of the decoded page.
    package var rawBytes: UInt64
    /// Bytes of the record, without padding.
    package var encodedBytes: UInt64
    /// Milliseconds since the Unix epoch.
    package var createdAt: Int64
    /// The page's token ids; empty when they are sealed.
    package var tokens: [TokenID]
    /// The block's key, or the sealed bytes in its place; empty for a page.
    package var key: [UInt8] = []

    /// Bytes that the page occupies on disk.
    package var slotBytes: Int { SlotSize.slotBytes(holding: Int(encodedBytes)) }

    /// Bytes that the page takes in the index, as the quota counts them.
    package var indexBytes: Int { Self.indexBytes(nameBytes: 4 * tokens.count + key.count) }

    /// Bytes that a page of `tokens` tokens takes in the index.
    package static func indexBytes(tokens: Int) -> Int { indexBytes(nameBytes: 4 * tokens) }

    /// Bytes that the page or block of this name takes in the index.
    static func indexBytes(of name: PageName) -> Int {
        indexBytes(
            nameBytes: 4 * name.tokens.count + name.blockKey.count + (name.seal == nil ? 0 : sealBytes))
    }

    /// Bytes that a node with `nameBytes` bytes of token ids or key takes in the index.
    static func indexBytes(nameBytes: Int) -> Int { indexOverhead + nameBytes * 3 / 2 }

    /// The node of a page or block, sealed if its space is. Its hash is its key, and no part of it.
    ///
    /// - Parameter place: the position of a page's first token, or how many blocks come before a block; nil for what
    ///   the name says.
    package init(
        _ name: PageName, at place: Int? = nil, codec: UInt8, flags: Flags, rawBytes: UInt64, encodedBytes: UInt64,
        createdAt: Int64
    ) {
        parent = name.parent
        root = name.root
        firstToken = UInt32(place ?? name.firstToken)
        tokenCount = UInt32(clamping: name.tokens.count)
        self.codec = codec
        self.flags = flags
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
        self.createdAt = createdAt
        tokens = Array(name.tokens)
        key = name.blockKey
        if let seal = name.seal { self.seal(name, by: seal) }
    }

    /// Reads the node stored under `hash`; nil when it is damaged or belongs to another key.
    package init?(_ bytes: RawSpan, key hash: PrefixHash) {
        self.init(fields: bytes, key: hash)
        if flags.isDisjoint(with: [.block, .sealed]) {
            let count = Int(tokenCount)
            tokens = [TokenID](capacity: count) { output in
                for index in 0..<count { output.append(Self.token(index, of: bytes)) }
            }
        } else {
            key = bytes.extracting(0..<bytes.byteCount - 8).copy(from: Self.headerBytes)
        }
    }

    /// As the initialiser above, but leaves token ids and key in `bytes`, for `commonRun`. Allocates nothing.
    init?(fields bytes: RawSpan, key: PrefixHash) {
        guard bytes.byteCount >= Self.headerBytes + 8, bytes.endsWithChecksum(key: key) else { return nil }
        parent = PrefixHash(bytes, at: 0)
        root = PrefixHash(bytes, at: 32)
        firstToken = bytes.integer(at: 64, as: UInt32.self)
        tokenCount = bytes.integer(at: 68, as: UInt32.self)
        codec = bytes.integer(at: 72, as: UInt8.self)
        flags = Flags(rawValue: bytes.integer(at: 73, as: UInt8.self))
        rawBytes = bytes.integer(at: 74, as: UInt64.self)
        encodedBytes = bytes.integer(at: 82, as: UInt64.self)
        createdAt = bytes.integer(at: 90, as: Int64.self)
        tokens = []
        guard isPossible(nameBytes: bytes.byteCount - Self.headerBytes - 8) else { return nil }
    }

    private func isPossible(nameBytes: Int) -> Bool {
        let plainBytes = flags.contains(.sealed) ? nameBytes - Self.sealBytes : nameBytes
        let isNamed =
            flags.contains(.block)
            ? tokenCount == 0 && !flags.contains(.tail) && Limits.blockKey.contains(plainBytes)
            : Limits.pageSize.contains(Int(tokenCount)) && plainBytes == 4 * Int(tokenCount)
        return isNamed && flags.isSubset(of: .known) && firstToken < Limits.tokens
            && rawBytes <= UInt64(Limits.pageBytes) && encodedBytes <= 2 * UInt64(Limits.pageBytes)
    }

    /// How many of the first token ids of the node in `bytes` equal those of `wanted`. `init(fields:key:)` must have
    /// checked the node, and it must be neither sealed nor that of a block.
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

    /// Whether `hash` follows from the node: from parent and token ids, or from space and key.
    ///
    /// - Parameter seal: that of a sealed space. A sealed node cannot be checked without it, and passes.
    package func hasHash(_ hash: PrefixHash, seal: SpaceSeal? = nil) -> Bool {
        var (tokens, key) = (tokens, key)
        if flags.contains(.sealed) {
            guard let seal else { return true }
            guard let name = openedName(of: hash, by: seal) else { return false }
            (tokens, key) = name
        }
        return flags.contains(.block)
            ? PrefixHash.block(key, in: root, seal: seal) == hash
            : PrefixHash.page(after: parent, tokens: tokens[...], seal: seal) == hash
    }

    /// The bytes stored under `hash`.
    package func encoded(key hash: PrefixHash) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.headerBytes + 4 * tokens.count + key.count + 8)
        writer.append(contentsOf: encodedFields)
        for token in tokens { writer.append(token) }
        writer.append(contentsOf: key)
        writer.appendChecksum(key: hash)
        return writer.bytes
    }

    /// The bytes before token ids or key.
    var encodedFields: [UInt8] {
        var writer = ByteWriter(capacity: Self.headerBytes)
        writer.append(parent)
        writer.append(root)
        writer.append(firstToken)
        writer.append(tokenCount)
        writer.append(codec)
        writer.append(flags.rawValue)
        writer.append(rawBytes)
        writer.append(encodedBytes)
        writer.append(createdAt)
        return writer.bytes
    }
}
