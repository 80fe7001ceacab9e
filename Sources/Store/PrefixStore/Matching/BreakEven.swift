// Break-even: whether loading what a match found takes less time than computing it again.

internal import Threads

/// How fast pages have been loaded from one tier lately: recent loads count more, large ones too.
struct LoadRate: Sendable {
    /// A load counts as at most this many times as slow as expected. One load that waited for a CPU says little about
    /// the next one; if a tier has become slow, a few loads show it.
    private static let largestSurprise = 8.0
    /// The weight that earlier loads keep when a new one comes.
    private static let memory = 0.75

    /// Nanoseconds per byte of decoded pages: measured, or assumed until the first load.
    private(set) var nanosecondsPerByte: Double
    private var bytes = 0.0
    private var nanoseconds = 0.0

    /// 5 GB/s: a copy in RAM.
    static var hot: LoadRate { LoadRate(assuming: 0.2) }
    /// 1 GB/s: a disk, and decoding. Optimistic on purpose: the first load measures, a load that is never tried does
    /// not.
    static var cold: LoadRate { LoadRate(assuming: 1) }
    /// 1 GB/s: a network of 10 Gbit/s. Optimistic for the same reason.
    static var remote: LoadRate { LoadRate(assuming: 1) }

    init(assuming nanosecondsPerByte: Double) { self.nanosecondsPerByte = nanosecondsPerByte }

    /// Takes a load into account.
    mutating func record(bytes loaded: Int, nanoseconds taken: UInt64) {
        guard loaded > 0, taken > 0 else { return }
        let believed = min(Double(taken), Self.largestSurprise * nanosecondsPerByte * Double(loaded))
        bytes = Self.memory * bytes + Double(loaded)
        nanoseconds = Self.memory * nanoseconds + believed
        nanosecondsPerByte = nanoseconds / bytes
    }
}

/// The load rates of a space, one per tier.
struct LoadRates: Sendable {
    var hot = LoadRate.hot
    var cold = LoadRate.cold
    var remote = LoadRate.remote
}

/// What was known about a space's speed when a match was made.
struct BreakEven: Sendable {
    /// Nanoseconds by which leaving tokens out must be faster: below that the fixed costs of a load, which no rate
    /// knows, decide, and a wrong answer costs nothing that anybody would notice.
    static let leastGain = 1_000_000.0

    /// Nanoseconds per byte.
    let hotRate, coldRate, remoteRate: Double
    /// Nanoseconds per token; nil while the engine has not reported any.
    let prefillTime: UInt64?
    let bytesPerToken: Int

    /// Nanoseconds that loading these tokens will take, about.
    func loadTime(_ tokens: TokensByTier) -> Double {
        Double(bytesPerToken)
            * (Double(tokens.hot) * hotRate + Double(tokens.cold) * coldRate + Double(tokens.remote) * remoteRate)
    }

    /// Whether loading all of these tokens takes less time than computing them. True while the prefill time is not
    /// known.
    func isWorthLoading(_ tokens: TokensByTier) -> Bool {
        guard let prefillTime else { return true }
        return loadTime(tokens) <= Double(prefillTime) * Double(tokens.total)
    }

    /// How many of the tokens it is best to load, and to compute the rest: all of them, those of this host, those in
    /// RAM, or none.
    func tokensWorthLoading(of tokens: TokensByTier) -> Int {
        guard let prefillTime else { return tokens.total }
        func gain(withoutLoading part: TokensByTier) -> Double {
            loadTime(part) - Double(prefillTime) * Double(part.total)
        }
        // Tokens of a tier are useful only behind those of the tiers before it, so only an end can be left out.
        var best = (tokens: tokens.total, gain: 0.0)
        var total = 0.0
        let ends = [
            (tokens.hot + tokens.cold, TokensByTier(remote: tokens.remote)),
            (tokens.hot, TokensByTier(cold: tokens.cold)), (0, TokensByTier(hot: tokens.hot)),
        ]
        for (rest, part) in ends {
            total += gain(withoutLoading: part)
            if total > best.gain, total >= Self.leastGain { best = (rest, total) }
        }
        return best.tokens
    }
}

extension Match {
    /// How long loading all of the match will take, about: its bytes at the rates at which this process has loaded
    /// pages of this space lately, each tier apart. Until the first load 5 GB/s, 1 GB/s and 1 GB/s are assumed.
    public var estimatedLoadTime: Duration {
        .nanoseconds(Int64(breakEven.loadTime(tokensByTier)))
    }

    /// Whether loading all of the match takes less time than computing its tokens, at the engine's measured prefill
    /// time (`Space.recordPrefill`). True while that is not known. This is advice: `load` loads what it is asked for.
    public var worthLoading: Bool { breakEven.isWorthLoading(tokensByTier) }

    /// How many tokens it is best to load before computing the rest: all of the match, those of this host, those in
    /// RAM, or none. Give it to `load` as the limit. Tokens are left out only where that saves a millisecond or more.
    ///
    /// A rate is measured by loading only: an engine that leaves tokens out should load some now and then nevertheless.
    public var tokensWorthLoading: Int { breakEven.tokensWorthLoading(of: tokensByTier) }
}

extension Space {
    /// The rates as they are known now.
    var breakEven: BreakEven {
        let rates = state.loadRates.withLock { $0 }
        return BreakEven(
            hotRate: rates.hot.nanosecondsPerByte, coldRate: rates.cold.nanosecondsPerByte,
            remoteRate: rates.remote.nanosecondsPerByte, prefillTime: prefillNanosecondsPerToken,
            bytesPerToken: layout.bytesPerToken)
    }

    /// Tells the store that the engine computes `tokens` matched tokens because loading them is not worth it, for
    /// `StoreStatistics.skippedTokens`.
    public func recordSkipped(tokens: Int) { store.counters.skippedTokens.add(UInt64(max(0, tokens))) }
}
