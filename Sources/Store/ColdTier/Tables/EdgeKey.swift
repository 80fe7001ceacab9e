// The table `edges`: the children of a page or block, those of a page sorted by their token ids.

package import KVFormat

/// A child of a page. Keys of one parent are sorted by their first token ids, so that the child with the longest common
/// run is next to the place where the wanted token ids would be.
///
/// | bytes of the key | field |
/// | --- | --- |
/// | 0..<32 | parent |
/// | 32..<32+4n | the child's first token ids, at most 32, 4 bytes each, big-endian |
/// | last 32 | child |
///
/// The value is the child's token count, 4 bytes.
///
/// The edge to a block has no token ids (n = 0) and a token count of 0. In a sealed space, 8 bytes stand in the place
/// of the token ids, as if they were two: the first 8 of `HMAC-SHA-256(index key, parent || first token id)`. So a
/// partial match reads only the few children that begin with the same token.
package struct EdgeKey: Equatable, Sendable {
    /// Token ids in a key: enough to distinguish children, few enough for LMDB's keys.
    package static let tokens = 32

    /// The prefix hash of the page before, or the space root.
    package let parent: PrefixHash
    /// The child's first token ids, at most `EdgeKey.tokens`.
    package let first: [TokenID]
    /// The child's prefix hash.
    package let child: PrefixHash

    /// The key of a child with these token ids.
    package init(parent: PrefixHash, tokens: some Sequence<TokenID>, child: PrefixHash) {
        self.parent = parent
        self.first = Array(tokens.prefix(Self.tokens))
        self.child = child
    }

    /// Reads a key; nil when its length is impossible.
    package init?(_ key: RawSpan) {
        let tokenBytes = key.byteCount - 2 * PrefixHash.byteCount
        guard tokenBytes >= 0, tokenBytes % 4 == 0, tokenBytes <= 4 * Self.tokens else { return nil }
        parent = PrefixHash(key, at: 0)
        first = (0..<tokenBytes / 4).map { key.bigEndian(at: PrefixHash.byteCount + 4 * $0, as: TokenID.self) }
        child = PrefixHash(key, at: key.byteCount - PrefixHash.byteCount)
    }

    /// The stored key.
    package var encoded: [UInt8] { Self.start(parent: parent, tokens: first) + child.bytes }

    /// Where the children of `parent` that begin with `tokens` would be.
    package static func start(parent: PrefixHash, tokens: some Sequence<TokenID>) -> [UInt8] {
        var writer = ByteWriter(capacity: 2 * PrefixHash.byteCount + 4 * Self.tokens)
        writer.append(parent)
        for token in tokens.prefix(Self.tokens) { writer.appendBigEndian(token) }
        return writer.bytes
    }

    /// How many of the token ids in the stored key of a child of `parent` equal the first of `wanted`; nil when the key
    /// does not belong to a child of `parent`. Allocates nothing.
    static func commonRun(_ key: RawSpan, parent: PrefixHash, _ wanted: ArraySlice<TokenID>) -> Int? {
        let tokenBytes = key.byteCount - 2 * PrefixHash.byteCount
        guard tokenBytes >= 0, tokenBytes % 4 == 0, tokenBytes <= 4 * tokens, PrefixHash(key, at: 0) == parent else {
            return nil
        }
        let limit = min(tokenBytes / 4, wanted.count)
        var run = 0
        while run < limit,
            key.bigEndian(at: PrefixHash.byteCount + 4 * run, as: TokenID.self) == wanted[wanted.startIndex + run]
        {
            run += 1
        }
        return run
    }

    /// The child that a stored key names.
    static func child(_ key: RawSpan) -> PrefixHash { PrefixHash(key, at: key.byteCount - PrefixHash.byteCount) }

    /// The stored value.
    package static func value(tokenCount: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: 4)
        writer.append(UInt32(clamping: tokenCount))
        return writer.bytes
    }

    /// The token count in a stored value; nil when it is damaged.
    package static func tokenCount(_ value: RawSpan) -> Int? {
        value.byteCount == 4 ? Int(value.integer(at: 0, as: UInt32.self)) : nil
    }
}
