// From the queue into the batch: what a request can reuse, and when it should wait.

import KVFormat
import PrefixStore

extension Engine {
    /// What other sequences of this engine can give to a request.
    private struct LivePrefix {
        /// The sequence with the most computed tokens in common.
        var donor: RunningRequest?
        /// The number of those tokens.
        var available = 0
        /// How many tokens a sequence has in common, whether computed or still to be computed.
        var coming = 0
    }

    /// Fills free places from the queue, in its order.
    ///
    /// A request whose prefix another request is computing stays in the queue until that part is done, because
    /// computing it twice would take longer. Requests behind it may pass. A request that finds too few free pages holds
    /// up all requests behind it.
    func admit() {
        var index = 0
        while index < waiting.count, running.count < options.maxParallel {
            let entry = waiting[index]
            entry.admitted = entry.admitted ?? clock.now
            let live = livePrefix(entry)
            if isWorthWaiting(entry, live) {
                entry.waitsForPrefix = true
                index += 1
                continue
            }
            let limit = pageLimit(entry.request)
            guard unclaimedPages >= limit - live.available / layout.pageSize else { return }
            waiting.remove(at: index)
            start(entry, live, limit)
        }
    }

    /// Whether a running sequence is about to compute more of the prompt than can be reused now. To begin waiting, it
    /// must be a page or more; to continue waiting, any number of tokens. The store need not be checked, because it did
    /// not have that part when the other request began.
    private func isWorthWaiting(_ entry: WaitingRequest, _ live: LivePrefix) -> Bool {
        let gain = entry.waitsForPrefix ? 1 : layout.pageSize
        return live.coming >= live.available + gain
    }

    /// Free pages that no running sequence can still need.
    private var unclaimedPages: Int {
        running.reduce(pool.freeCount) { $0 - ($1.pageLimit - $1.pages.count) }
    }

    private func livePrefix(_ entry: WaitingRequest) -> LivePrefix {
        var result = LivePrefix()
        for sequence in running {
            let common = min(commonPrefix(sequence.tokens, entry.request.tokens), entry.reusable)
            let available = min(common, sequence.computed)
            if available > result.available {
                result.available = available
                result.donor = sequence
            }
            result.coming = max(result.coming, common)
        }
        return result
    }

    private func start(_ entry: WaitingRequest, _ live: LivePrefix, _ limit: Int) {
        let started = clock.now
        var prefix = share(live)
        let stored = loadStored(entry, moreThan: live.available, pageLimit: limit)
        if stored.tokens > prefix.tokens { prefix = stored }
        let sequence = RunningRequest(entry, prefix: prefix, pageLimit: limit, started: started)
        running.append(sequence)
        if sequence.remaining == 0 {
            completePrompt(sequence)
            finishPrefill(sequence)
        }
    }

    /// Reuses pages of a running sequence: shares whole pages, and copies the beginning of the next one.
    private func share(_ live: LivePrefix) -> ReusedPrefix {
        guard let donor = live.donor else { return ReusedPrefix() }
        let (whole, rest) = live.available.quotientAndRemainder(dividingBy: layout.pageSize)
        var prefix = ReusedPrefix(
            tokens: live.available, pages: Array(donor.pages[..<whole]),
            reused: ReusedTokens(hot: live.available, shared: live.available))
        if let place = donor.place, place.tokens <= live.available { prefix.place = place }
        if rest > 0 {
            if let page = pool.take() {
                page.copy(tokens: rest, from: donor.pages[whole])
                prefix.pages.append(page)
            } else {
                prefix.tokens -= rest
                prefix.reused = ReusedTokens(hot: prefix.tokens, shared: prefix.tokens)
            }
        }
        return prefix
    }

    /// Loads pages from the cache, if it has more than `least` tokens of the prompt.
    private func loadStored(_ entry: WaitingRequest, moreThan least: Int, pageLimit: Int) -> ReusedPrefix {
        guard let cache, unclaimedPages >= pageLimit else { return ReusedPrefix() }
        var prefix = ReusedPrefix()
        let loaded = cache.load(entry.request.tokens, limit: entry.reusable) { count in
            guard count > least else { return nil }
            let pages = (count + layout.pageSize - 1) / layout.pageSize
            for _ in 0..<pages {
                guard let page = pool.take() else { return nil }
                prefix.pages.append(page)
            }
            return prefix.pages.map(\.target)
        }
        prefix.tokens = loaded.tokens
        prefix.place = loaded.place
        prefix.pages.removeLast(prefix.pages.count - (loaded.tokens + layout.pageSize - 1) / layout.pageSize)
        prefix.reused = ReusedTokens(
            hot: loaded.hotTokens, cold: loaded.coldTokens, remote: loaded.remoteTokens)
        return prefix
    }
}

/// How many of the first tokens of `a` and `b` are equal.
func commonPrefix(_ a: [UInt32], _ b: [UInt32]) -> Int {
    let count = min(a.count, b.count)
    for index in 0..<count where a[index] != b[index] { return index }
    return count
}
