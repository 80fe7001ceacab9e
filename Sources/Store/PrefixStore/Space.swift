// A space: the pages of one model identity.

internal import HotTier
internal import Threads

/// All pages that engines of one identity share. Made by `Store.space(_:)`; thread-safe. It keeps its store open.
public final class Space: Sendable {
    /// The hash from which the space's prefix hashes are chained. That of a sealed space is not its identity's.
    public let root: PrefixHash
    /// Shape of a page.
    public let layout: KVLayout

    let store: Store
    let state: SpaceState
    var hot: HotSpace { state.hot }
    /// The space's seal; nil when it is not sealed.
    var seal: SpaceSeal? { state.seal }
    /// Whether what is stored of the space on disk is encrypted.
    public var isSealed: Bool { seal != nil }

    init(_ state: SpaceState, of store: Store) {
        self.state = state
        self.store = store
        root = state.root
        layout = state.layout
    }

    /// The prefix hash of all of `tokens`: of its tail, or of its last whole page. The root when there are none.
    public func prefixHash(_ tokens: [TokenID]) -> PrefixHash { prefixHash(tokens[...]) }

    func prefixHash(_ tokens: ArraySlice<TokenID>) -> PrefixHash {
        PrefixHash.chain(from: root, tokens: tokens, pageSize: layout.pageSize, seal: seal).last ?? root
    }

    /// Tells the store how long the engine took to prefill `tokens` tokens, so that it can say what loading saves.
    /// Prompts that are computed side by side share that time: report it once, with the tokens of all.
    ///
    /// The average is by tokens, over the last few thousand. A pass over two tokens takes almost as long as one over
    /// fifty: as an average by reports it would let the ends of prompts decide.
    ///
    /// ```swift
    /// let began = ContinuousClock.now
    /// // compute the KV of prompt[loaded.tokens...], then:
    /// space.recordPrefill(tokens: prompt.count - loaded.tokens, time: ContinuousClock.now - began)
    /// ```
    ///
    /// - Parameters:
    ///   - tokens: tokens that were computed. Nothing is recorded for 0 or fewer.
    ///   - time: how long that took. Nothing is recorded unless it is positive.
    public func recordPrefill(tokens: Int, time: Duration) {
        let nanoseconds = time.nanoseconds
        guard tokens > 0, nanoseconds > 0 else { return }
        let rate = state.prefillNanosecondsPerToken
        let old = rate.value
        let memory = old == 0 ? 0 : Self.averagedTokens
        let average = (memory * Double(old) + Double(nanoseconds)) / (memory + Double(tokens))
        // Two reports at the same moment may lose one of them; the average hardly changes.
        rate.set(min(max(1, UInt64(average)), Self.longestPrefill))
    }

    /// Nanoseconds per token that no engine needs: an hour. What is reported or stored beyond that counts as that.
    static let longestPrefill: UInt64 = 3_600_000_000_000

    /// Tokens of prefill that the average stands for.
    private static let averagedTokens = 4096.0

    /// The engine's measured prefill time per token, perhaps in an earlier process: `flush()` and `close()` of the
    /// store keep it in the folder. Nil until `recordPrefill` was called.
    public var prefillTimePerToken: Duration? {
        prefillNanosecondsPerToken.map { .nanoseconds(Int64(clamping: $0)) }
    }

    /// The same as a number; nil until it is known.
    var prefillNanosecondsPerToken: UInt64? {
        let time = state.prefillNanosecondsPerToken.value
        return time == 0 ? nil : time
    }

    /// Refuses token ids that no sequence can have.
    func check(_ tokens: some Collection<TokenID>) throws(StoreError) {
        guard !tokens.isEmpty, tokens.count <= Limits.tokens else { throw .invalidTokens(count: tokens.count) }
        try store.checkOpen()
    }
}

/// What a store keeps of an open space. It does not know its store, so that a store nobody uses any more can end.
final class SpaceState: Sendable {
    let hot: HotSpace
    let seal: SpaceSeal?
    var root: PrefixHash { hot.root }
    var layout: KVLayout { hot.layout }
    /// Nanoseconds of prefill per token, a moving average; 0 until the engine has reported one.
    let prefillNanosecondsPerToken = Counter()

    /// The prefill time that the folder knows.
    let storedPrefillTime = Counter()
    /// How fast this process has loaded pages lately.
    let loadRates = Guarded(LoadRates())

    /// A space whose engine needed `prefillTime` nanoseconds per token when a process last stored that; 0 when none
    /// did.
    init(_ hot: HotSpace, seal: SpaceSeal?, prefillTime: UInt64) {
        self.hot = hot
        self.seal = seal
        prefillNanosecondsPerToken.set(prefillTime)
        storedPrefillTime.set(prefillTime)
    }

    /// The prefill time, if the folder should be told: it changes with every prefill, and each write is a transaction.
    var changedPrefillTime: UInt64? {
        let known = storedPrefillTime.value
        let time = prefillNanosecondsPerToken.value
        let difference = time > known ? time - known : known - time
        return difference > known / 8 ? time : nil
    }
}
