// Which page of which sequence: everything that a tier must know about a page besides its bytes.

/// The name of a page: which token ids it holds, and which page it follows. A value type. Making a name from a part of
/// a sequence copies no token ids.
package struct PageName: Hashable, Sendable {
    /// The root of the page's space.
    package let root: PrefixHash
    /// The prefix hash of the page before, or the space root.
    package let parent: PrefixHash
    /// The page's prefix hash, which follows from `parent` and `tokens`.
    package let hash: PrefixHash
    /// Position of the first token in its sequence.
    package let firstToken: Int
    /// The page's token ids: as many as the page size, or fewer for a tail.
    package let tokens: ArraySlice<TokenID>

    /// The name of a page whose prefix hash is known.
    package init(
        root: PrefixHash, parent: PrefixHash, hash: PrefixHash, firstToken: Int, tokens: ArraySlice<TokenID>
    ) {
        self.root = root
        self.parent = parent
        self.hash = hash
        self.firstToken = firstToken
        self.tokens = tokens
    }

    /// The name of the page that has `tokens` after `parent`. One SHA-256.
    package init(root: PrefixHash, parent: PrefixHash, firstToken: Int, tokens: ArraySlice<TokenID>) {
        self.init(
            root: root, parent: parent, hash: .page(after: parent, tokens: tokens), firstToken: firstToken,
            tokens: tokens)
    }

    /// The same name with its own copy of the token ids, which stays valid when the sequence changes or is released.
    package var detached: PageName {
        PageName(root: root, parent: parent, hash: hash, firstToken: firstToken, tokens: Array(tokens)[...])
    }

    /// Whether the prefix hash is that of the parent and the token ids.
    package var isSound: Bool { PrefixHash.page(after: parent, tokens: tokens) == hash }
}
