// How fast the engine computes prompts, measured when nothing else says it.

import KVFormat

extension Engine {
    /// Computes `count` tokens by themselves and throws their KV away: the prefill rate on this machine, now. Short prompts are
    /// the cheapest by the token, so what is saved by not computing is never overstated by it. Nothing is stored.
    ///
    /// - Returns: seconds a token; nil when the engine's memory has no free pages for it.
    /// - Complexity: one forward pass.
    public func measurePrefill(tokens count: Int = 64) -> Double? {
        precondition(isIdle, "measuring needs an idle engine")
        let count = min(count, options.maxBatchTokens, config.maxPositions)
        var pages: [KVPage] = []
        while pages.count * layout.pageSize < count {
            guard let page = pool.take() else { return nil }
            pages.append(page)
        }
        let tokens = (0..<count).map { UInt32($0 % config.vocabularySize) }
        let segment = Segment(tokens: tokens[...], position: 0, pages: pages, logits: 0..<0)
        let began = clock.now
        _ = transformer.forward(ForwardBatch([segment], pageSize: layout.pageSize))
        return began.duration(to: clock.now).seconds / Double(count)
    }
}
