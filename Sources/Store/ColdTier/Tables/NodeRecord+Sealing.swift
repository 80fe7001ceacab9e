// What a sealed node has in the place of its token ids or its block's key.

internal import KVFormat

/// The bytes of `NodeRecord.key` in a sealed node:
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | what the page's edge has in the place of token ids; 0 for a block |
/// | 8..<24 | salt |
/// | 24.. | token ids or the block's key, AES-256-GCM |
/// | last 16 | tag, which also covers the node's fields, without the flag `expires`, and the first 8 of these bytes |
///
/// The first field lets a process without the key remove a page with its edge. The flag `expires` is left out because
/// such a process may set and take dates.
extension NodeRecord {
    /// What sealing adds to token ids or key.
    static let sealBytes = 40
    private static let contentStart = 24

    /// Puts the sealed name in the place of token ids or key. The last change of a new node.
    ///
    /// - Parameter salt: never the same twice; tests that compare bytes give their own.
    mutating func seal(_ name: PageName, by seal: SpaceSeal, of salt: SealBytes = .random()) {
        flags.insert(.sealed)
        let edge = name.tokens.first.map { seal.edgeTag(parent: parent, first: $0) } ?? 0
        var content = ByteWriter(capacity: 4 * name.tokens.count + name.blockKey.count)
        for token in name.tokens { content.append(token) }
        content.append(contentsOf: name.blockKey)
        var sealed = content.bytes
        tokens = []
        key = (0..<8).map { UInt8(truncatingIfNeeded: edge >> (56 - 8 * UInt64($0))) } + salt.bytes
        let known = sealedFields
        let tag = unsafe sealed.withUnsafeMutableBytes { sealed in
            unsafe seal.nodeKey(name.hash, salt: salt).encrypt(sealed, number: 0, known: known.span.bytes)
        }
        key += sealed + tag.bytes
    }

    /// The token ids of a sealed page, or the key of a sealed block; nil when a byte of the node was changed.
    func openedName(of hash: PrefixHash, by seal: SpaceSeal) -> (tokens: [TokenID], key: [UInt8])? {
        guard flags.contains(.sealed), key.count >= Self.sealBytes else { return nil }
        let known = sealedFields
        let end = key.count - SealBytes.count
        var plain = [UInt8](repeating: 0, count: end - Self.contentStart)
        let isSound = unsafe key.withUnsafeBytes { key in
            let key = unsafe key.bytes
            return unsafe plain.withUnsafeMutableBytes { plain in
                unsafe seal.nodeKey(hash, salt: SealBytes(key, at: 8)).decrypt(
                    key.extracting(Self.contentStart..<end), number: 0, known: known.span.bytes,
                    tag: SealBytes(key, at: end), to: plain.baseAddress)
            }
        }
        guard isSound else { return nil }
        guard !flags.contains(.block) else { return ([], plain) }
        let tokens = unsafe plain.withUnsafeBytes { plain in
            let plain = unsafe plain.bytes
            return (0..<plain.byteCount / 4).map { plain.integer(at: 4 * $0, as: TokenID.self) }
        }
        return (tokens, [])
    }

    /// The token ids of a page that may be sealed; nil when they cannot be read.
    func tokens(of hash: PrefixHash, by seal: SpaceSeal?) -> [TokenID]? {
        guard flags.contains(.sealed) else { return seal == nil ? tokens : nil }
        return seal.flatMap { openedName(of: hash, by: $0)?.tokens }
    }

    /// What the page's edge has in the place of token ids: those themselves, or what stands for the first of them in a
    /// sealed space, in the form of two.
    var edgeTokens: [TokenID] {
        guard flags.contains(.sealed) else { return tokens }
        guard !flags.contains(.block), key.count >= 8 else { return [] }
        return [0, 4].map { start in key[start..<start + 4].reduce(0) { $0 << 8 | TokenID($1) } }
    }

    /// The fields that the tag covers.
    private var sealedFields: [UInt8] {
        var fields = self
        fields.flags.remove(.expires)
        return fields.encodedFields + key.prefix(Self.contentStart)
    }
}

extension SpaceSeal {
    /// What the edges of the children of `parent` that begin with `token` have in the place of token ids.
    func edgeTokens(parent: PrefixHash, first token: TokenID) -> [TokenID] {
        let tag = edgeTag(parent: parent, first: token)
        return [TokenID(tag >> 32), TokenID(truncatingIfNeeded: tag)]
    }
}
