// Where a sequence goes on: what a load or an insert returns, and the next insert takes.

package import KVFormat

/// A place in a sequence, between two pages: the tokens before it are stored, or were given to `insert`.
///
/// It carries the hash of what lies before it. A place belongs to the sequence and to the space that it comes from: an
/// insert compares it with its tokens, and refuses one from elsewhere.
public struct SequencePlace: Hashable, Sendable {
    let root: PrefixHash
    /// The prefix hash of the page before the place; the space root at the beginning.
    let hash: PrefixHash
    /// Tokens before the place: a multiple of the page size.
    public let tokens: Int

    package init(root: PrefixHash, hash: PrefixHash, tokens: Int) {
        self.root = root
        self.hash = hash
        self.tokens = tokens
    }
}

extension Space {
    /// The place before the first token of any sequence.
    public var start: SequencePlace { SequencePlace(root: root, hash: root, tokens: 0) }
}
