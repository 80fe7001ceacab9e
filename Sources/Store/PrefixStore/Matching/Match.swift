// What a match found: how far, and which tier holds what.

internal import ColdTier
internal import HotTier

/// The longest stored prefix of a sequence. It leases the hot pages it found: none of them is evicted while it lives.
/// Cold pages are found again when they are loaded; one that has gone by then shortens the load.
public struct Match: ~Copyable {
    /// The space that the pages belong to: a match loads from nowhere else.
    let space: Space
    let lease: HotMatch
    /// Whole hot pages, and the partly shared one when the match ends in it.
    let hotPages: Int
    let cold: [ColdPage]
    /// Pages behind those, which only the remote has.
    let remote: [RemotePage]
    /// The sequence that was asked for.
    let tokens: [TokenID]
    let breakEven: BreakEven

    /// Tokens found, by the tier that has them.
    public let tokensByTier: TokensByTier
    /// Tokens found.
    public var tokenCount: Int { tokensByTier.total }
    /// Pages found. Page `i` holds the tokens from `i * pageSize` to `min((i + 1) * pageSize, tokenCount)`.
    public var pageCount: Int { hotPages + cold.count + remote.count }
    /// Whether the time was up before the disk had answered: it may have more than was found.
    public let isLate: Bool
    /// Whether nothing was found.
    public var isEmpty: Bool { tokenCount == 0 }

    init(
        lease: consuming HotMatch, hotPages: Int, hotTokens: Int, cold: [ColdPage],
        remote: [RemotePage] = [], tokens: [TokenID], isLate: Bool = false, in space: Space
    ) {
        self.space = space
        self.lease = lease
        self.hotPages = hotPages
        self.cold = cold
        self.remote = remote
        breakEven = space.breakEven
        self.tokens = tokens
        self.isLate = isLate
        tokensByTier = TokensByTier(
            hot: hotTokens, cold: cold.reduce(0) { $0 + $1.matchedTokens },
            remote: remote.reduce(0) { $0 + $1.tokenCount })
    }

    /// The prefix hash of page `page`, from 0.
    func hash(ofPage page: Int) -> PrefixHash {
        if page < hotPages { return lease.hash(of: page) }
        let place = page - hotPages
        return place < cold.count ? cold[place].hash : remote[place - cold.count].hash
    }

    /// The place behind the whole pages of the first `tokens` tokens: where an insert or a cursor goes on when the
    /// engine has those tokens, in whatever way they came.
    ///
    /// - Throws: `.invalidPages` when the match has fewer tokens.
    public func place(behind tokens: Int) throws(StoreError) -> SequencePlace {
        guard (0...tokenCount).contains(tokens) else {
            throw .invalidPages("\(tokens) tokens of a match of \(tokenCount)")
        }
        return place(after: tokens)
    }

    /// The place behind the first `tokens` tokens, or at the beginning of the page in which that is.
    func place(after tokens: Int) -> SequencePlace {
        let pages = tokens / space.layout.pageSize
        return SequencePlace(
            root: space.root, hash: pages == 0 ? space.root : hash(ofPage: pages - 1),
            tokens: pages * space.layout.pageSize)
    }
}
