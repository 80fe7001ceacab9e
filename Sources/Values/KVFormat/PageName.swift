// Which page of which sequence, or which block: all that a tier must know of a record besides its bytes.

/// The name of a page or block: what it holds, and what it follows. A value type; making one from a part of a sequence
/// copies no token ids.
package struct PageName: Hashable, Sendable {
    /// The root of the page's space.
    package let root: PrefixHash
    /// The prefix hash of the page or block before, or the space root.
    package let parent: PrefixHash
    /// The page's prefix hash, which `parent` and `tokens` make; or the block's hash, which `root` and `blockKey` make.
    package let hash: PrefixHash
    /// Position of the first token in its sequence; 0 for a block, whose depth only the tier that has its parent knows.
    package let firstToken: Int
    /// The page's token ids: as many as the page size, or fewer for a tail; none for a block.
    package let tokens: ArraySlice<TokenID>
    /// The key that an engine brought for a block; empty for a page.
    package let blockKey: [UInt8]
    /// The seal of the page's space; nil for a space that is not sealed.
    package let seal: SpaceSeal?

    /// The name of a page whose prefix hash is known.
    package init(
        root: PrefixHash, parent: PrefixHash, hash: PrefixHash, firstToken: Int, tokens: ArraySlice<TokenID>,
        seal: SpaceSeal? = nil
    ) {
        self.root = root
        self.parent = parent
        self.hash = hash
        self.firstToken = firstToken
        self.tokens = tokens
        blockKey = []
        self.seal = seal
    }

    /// The name of the block that an engine knows by `key`. One SHA-256.
    ///
    /// - Parameters:
    ///   - key: `Limits.blockKey` bytes.
    ///   - parent: the hash of the block that it follows; nil for none.
    ///   - seal: that of its space.
    package init(block key: [UInt8], root: PrefixHash, parent: PrefixHash?, seal: SpaceSeal? = nil) {
        self.root = root
        self.parent = parent ?? root
        hash = .block(key, in: root, seal: seal)
        firstToken = 0
        tokens = []
        blockKey = key
        self.seal = seal
    }

    /// The name of the page that has `tokens` after `parent`. One SHA-256.
    package init(
        root: PrefixHash, parent: PrefixHash, firstToken: Int, tokens: ArraySlice<TokenID>, seal: SpaceSeal? = nil
    ) {
        self.init(
            root: root, parent: parent, hash: .page(after: parent, tokens: tokens, seal: seal), firstToken: firstToken,
            tokens: tokens, seal: seal)
    }

    /// The same name with its own copy of the token ids, which stays valid when the sequence changes or is released.
    package var detached: PageName {
        guard !isBlock else { return self }
        return PageName(
            root: root, parent: parent, hash: hash, firstToken: firstToken, tokens: Array(tokens)[...], seal: seal)
    }

    /// Whether it is the name of a block.
    package var isBlock: Bool { !blockKey.isEmpty }

    /// Whether the hash is that of the parent and the token ids, or of the space and the block's key.
    package var isSound: Bool {
        isBlock
            ? PrefixHash.block(blockKey, in: root, seal: seal) == hash
            : PrefixHash.page(after: parent, tokens: tokens, seal: seal) == hash
    }
}
