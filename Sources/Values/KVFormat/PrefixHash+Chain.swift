// How prefix hashes are computed: SHA-256, chained from the space root; HMAC-SHA-256 in a sealed space.

extension PrefixHash {
    // "PFX" and the version of the chain: no page's hash is ever the hash of something else.
    private static let pageTag: [UInt8] = Array("PFX2".utf8)
    private static let blockTag: [UInt8] = Array("PFXblok2".utf8)

    /// A hash that is not chained, SHA-256 of `bytes`: what names other things than pages.
    package static func sha256(_ bytes: [UInt8]) -> PrefixHash { PrefixHash(.sha256(bytes)) }

    /// The prefix hash of a page: `SHA-256("PFX2" || parent || token count || token ids)`, integers of 4 bytes,
    /// little-endian.
    ///
    /// - Parameters:
    ///   - parent: the hash of the page before, or the space root for the first page.
    ///   - tokens: the token ids of the page, 1 to `pageSize` of them.
    ///   - seal: that of a sealed space, where nobody without the key can confirm a guess of the token ids.
    /// - Complexity: one SHA-256, about 0.2 us for 64 tokens with the CPU's SHA instructions; nothing is allocated.
    package static func page(
        after parent: PrefixHash, tokens: ArraySlice<TokenID>, seal: SpaceSeal? = nil
    ) -> PrefixHash {
        var head: InlineArray<40, UInt8> = .init(repeating: 0)
        for index in 0..<4 { head[index] = pageTag[index] }
        parent.withBytes { bytes in
            for index in 0..<byteCount {
                head[4 + index] = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            }
        }
        let count = UInt32(tokens.count)
        for index in 0..<4 { head[36 + index] = UInt8(truncatingIfNeeded: count >> (8 * UInt32(index))) }
        // Token ids are hashed as they lie in memory, which is little-endian on every platform that Swift supports.
        return unsafe tokens.withUnsafeBytes { ids in
            unsafe PrefixHash(
                head.span.bytes.withUnsafeBytes { head in
                    if let seal { return unsafe seal.hash(head, ids) }
                    return unsafe Digest.sha256(head, ids)
                })
        }
    }

    /// The hash of a block: `SHA-256("PFXblok2" || space root || key length || key)`, the length of 2 bytes,
    /// little-endian.
    /// - Parameters:
    ///   - key: the engine's key for the block, `Limits.blockKey` bytes.
    ///   - seal: that of a sealed space.
    package static func block(_ key: [UInt8], in root: PrefixHash, seal: SpaceSeal? = nil) -> PrefixHash {
        let length = [UInt8(truncatingIfNeeded: key.count), UInt8(truncatingIfNeeded: key.count >> 8)]
        let bytes = blockTag + root.bytes + length + key
        guard let seal else { return sha256(bytes) }
        return unsafe bytes.withUnsafeBytes { bytes in
            unsafe PrefixHash(seal.hash(bytes, UnsafeRawBufferPointer(start: nil, count: 0)))
        }
    }

    /// The prefix hashes of all whole pages of `tokens`, and of the tail if there is one.
    ///
    /// - Parameters:
    ///   - root: the space root, or the hash of the page before `tokens`.
    ///   - tokens: the token ids from there on; none give no hashes.
    ///   - pageSize: tokens of a whole page, 1 or more.
    public static func chain(from root: PrefixHash, tokens: ArraySlice<TokenID>, pageSize: Int) -> [PrefixHash] {
        chain(from: root, tokens: tokens, pageSize: pageSize, seal: nil)
    }

    /// As `chain(from:tokens:pageSize:)`, for a space that may be sealed.
    package static func chain(
        from root: PrefixHash, tokens: ArraySlice<TokenID>, pageSize: Int, seal: SpaceSeal?
    ) -> [PrefixHash] {
        var hashes: [PrefixHash] = []
        hashes.reserveCapacity((tokens.count + pageSize - 1) / pageSize)
        var parent = root
        for start in stride(from: tokens.startIndex, to: tokens.endIndex, by: pageSize) {
            parent = page(after: parent, tokens: tokens[start..<min(start + pageSize, tokens.endIndex)], seal: seal)
            hashes.append(parent)
        }
        return hashes
    }
}
