// One forward pass: its input, and how its output is used.

import KVFormat
import PrefixStore

extension Engine {
    /// Computes one batch: one token for every sequence that replies, and as many prompt tokens as fit.
    ///
    /// - Parameters:
    ///   - onToken: called with the request's name and the token, for each token chosen.
    ///   - onFinish: called for each request that ended, including those that `cancel` ended.
    /// - Throws: `.outputNotFinite` for a request whose output is infinite or not a number. The request has ended
    ///   without a result, and nothing that this pass computed for it goes into the store. The others continue with the
    ///   next call.
    public func step(onToken: (String, UInt32) -> Void, onFinish: (GenerationResult) -> Void) throws(EngineError) {
        admit()
        let batch = plan()
        if !batch.isEmpty { compute(batch, onToken) }
        while !finished.isEmpty { onFinish(finished.removeFirst()) }
        if !failures.isEmpty { throw failures.removeFirst() }
    }

    /// The sequences of the next pass, with the number of tokens of each: first replies, then prompts in their order.
    private func plan() -> [(sequence: RunningRequest, count: Int)] {
        var room = options.maxBatchTokens
        var counts: [Int] = running.map { $0.remaining == 1 ? 1 : 0 }
        room -= counts.reduce(0, +)
        for (index, sequence) in running.enumerated() where counts[index] == 0 && room > 0 {
            counts[index] = min(room, sequence.remaining)
            room -= counts[index]
        }
        return zip(running, counts).filter { $0.1 > 0 }.map { (sequence: $0.0, count: $0.1) }
    }

    private func compute(_ batch: [(sequence: RunningRequest, count: Int)], _ onToken: (String, UInt32) -> Void) {
        let began = clock.now
        let segments = batch.map { sequence, count in
            extendPages(sequence, to: sequence.computed + count)
            let wantsToken = count == sequence.remaining && sequence.request.maxNewTokens > 0
            return Segment(
                tokens: sequence.tokens[sequence.computed..<sequence.computed + count], position: sequence.computed,
                pages: sequence.pages, logits: wantsToken ? count - 1..<count : 0..<0)
        }
        let logits = transformer.forward(ForwardBatch(segments, pageSize: layout.pageSize))
        recordPrefill(batch, began.duration(to: clock.now))

        var row = 0
        for (index, (sequence, count)) in batch.enumerated() {
            let wantsToken = count == sequence.remaining && sequence.request.maxNewTokens > 0
            defer { row += wantsToken ? 1 : 0 }
            // A callback may have cancelled a request while its tokens were being computed.
            guard running.contains(where: { $0 === sequence }) else { continue }
            guard logits.isFinite[index] else {
                running.removeAll { $0 === sequence }
                failures.append(.outputNotFinite(request: sequence.request.id))
                continue
            }
            let wasPrompt = sequence.computed < sequence.request.tokens.count
            sequence.computed += count
            let isWhole = wasPrompt && sequence.computed == sequence.request.tokens.count
            if isWhole { completePrompt(sequence) }
            // The token comes first, so that it does not wait for what the cache does with the pages.
            if wantsToken { take(sequence.sampler.next(logits: logits[row]), sequence, onToken) }
            guard running.contains(where: { $0 === sequence }) else { continue }
            if isWhole { finishPrefill(sequence) } else { publishWholePages(sequence) }
        }
    }

    private func extendPages(_ sequence: RunningRequest, to count: Int) {
        while sequence.pages.count * layout.pageSize < count {
            guard let page = pool.take() else { preconditionFailure("admission keeps a page for every token") }
            sequence.pages.append(page)
        }
    }

    /// Reports how fast prompts are computed. Prompts take their share of the pass by tokens, so that the time of a
    /// pass counts only once, however many requests run at once.
    private func recordPrefill(_ batch: [(sequence: RunningRequest, count: Int)], _ duration: Duration) {
        let all = batch.reduce(0) { $0 + $1.count }
        let prompts = batch.reduce(0) { $0 + ($1.count > 1 ? $1.count : 0) }
        guard prompts > 0 else { return }
        cache?.recordPrefill(tokens: prompts, time: duration * prompts / all)
    }

    /// Appends a chosen token, or ends the reply.
    private func take(_ token: UInt32, _ sequence: RunningRequest, _ onToken: (String, UInt32) -> Void) {
        if sequence.timeToFirstToken == nil {
            sequence.timeToFirstToken = sequence.admitted.duration(to: clock.now)
        }
        guard !sequence.request.stopTokens.contains(token) else { return end(sequence, .stop) }
        sequence.tokens.append(token)
        onToken(sequence.request.id, token)
        // The callback may have cancelled the request.
        guard running.contains(where: { $0 === sequence }) else { return }
        if sequence.reply.count >= sequence.request.maxNewTokens {
            end(sequence, .length)
        } else if sequence.tokens.count >= config.maxPositions {
            end(sequence, .contextFull)
        }
    }

    /// Called when the whole prompt is computed.
    func completePrompt(_ sequence: RunningRequest) {
        sequence.prefillTime = sequence.started.duration(to: clock.now)
        // Insert from the first page on: pages that the cache still has cost a look-up, and pages that it has dropped
        // meanwhile are inserted again.
        sequence.place = nil
    }

    /// Inserts all pages of a complete prompt into the cache, including the last one.
    func finishPrefill(_ sequence: RunningRequest) {
        publish(sequence)
        if sequence.request.maxNewTokens == 0 { end(sequence, .length) }
    }

    /// Takes a sequence out of the batch.
    func end(_ sequence: RunningRequest, _ reason: FinishReason) {
        publish(sequence)
        running.removeAll { $0 === sequence }
        finished.append(sequence.result(reason))
    }

    private func publishWholePages(_ sequence: RunningRequest) {
        let whole = sequence.computed / layout.pageSize
        publish(sequence, tokens: whole * layout.pageSize)
    }

    /// Inserts everything that is computed and not yet in the cache, including the tail.
    private func publish(_ sequence: RunningRequest) {
        publish(sequence, tokens: sequence.computed)
    }

    private func publish(_ sequence: RunningRequest, tokens count: Int) {
        guard let cache, count > sequence.place?.tokens ?? 0 else { return }
        sequence.place = cache.insert(sequence.tokens[..<count], after: sequence.place) { sequence.pages[$0].source }
    }
}
