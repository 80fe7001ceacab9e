// The loop of a batch: reads ahead a little, computes, and writes the finished replies.

internal import LlamaEngine

/// Runs the requests of an input through an engine. Used by one thread.
final class BatchRun {
    private let engine: Engine
    private let tokenizer: TokenizerChoice
    private let kept: KeptLines
    private let reader: LineReader
    private var input: BatchInput
    private let output: BatchOutput
    private let progress: ProgressBar
    /// How many requests are read ahead of those that run, so that the engine sees which of them share a prefix.
    private let lookAhead: Int

    private var pending: [String: Pending] = [:]
    private var doneBytes = 0
    private var isAtEnd = false
    private var failure: (any Error)?
    private(set) var totals = BatchTotals()

    /// The unknown fields of all lines.
    var ignored: IgnoredFields { input.ignored }

    /// What is kept of a request while it runs.
    private struct Pending {
        var byteCount: Int
        /// Nil without stop texts.
        var reply: ReplyText?
        /// The reply up to a stop text, once one has come.
        var stoppedText: String?
    }

    /// A run that has not begun. `input` and `output` are already open.
    init(_ runtime: Runtime, _ input: BatchInput, from reader: LineReader, to output: BatchOutput) {
        engine = runtime.engine
        tokenizer = runtime.tokenizer
        self.input = input
        self.reader = reader
        self.output = output
        kept = output.kept
        progress = ProgressBar(total: reader.byteCount)
        lookAhead = 4 * engine.options.maxParallel
    }

    /// Runs until the input ends or a signal stops it. After a signal, unfinished requests are left out.
    ///
    /// - Throws: `CommandFailure` when input cannot be read or output cannot be written.
    func run() throws {
        defer { progress.clear() }
        while Interruption.signalNumber == nil {
            try readAhead()
            if engine.isIdle && isAtEnd { return }
            if !engine.isIdle { try step() }
        }
    }

    /// Takes lines until enough requests wait. It waits for slow input only when there is nothing to compute.
    private func readAhead() throws {
        while !isAtEnd, pending.count < lookAhead, Interruption.signalNumber == nil {
            let next = try reader.next(waiting: engine.isIdle ? 100 : 0)
            // A signal may have come while this waited: what was read after it is not begun.
            guard Interruption.signalNumber == nil else { return }
            switch next {
            case .line(let number, let bytes): try take(number, bytes)
            case .tooLong(let number):
                try refuse(BadLine(line: number, id: nil, sentence: InputError.tooLong.sentence))
            case .end: isAtEnd = true
            case .notYet: return
            }
        }
    }

    private func take(_ number: Int, _ bytes: [UInt8]) throws {
        if isDone(number, bytes) {
            totals.skipped += 1
            doneBytes += bytes.count + 1
            return
        }
        do throws(BadLine) {
            guard let request = try input.request(line: number, bytes: bytes) else { return }
            do throws(EngineError) {
                try engine.submit(request.request)
            } catch {
                throw BadLine(line: number, id: request.request.id, sentence: InputError(error).sentence)
            }
            pending[request.request.id] = Pending(
                byteCount: request.byteCount,
                reply: request.stops.isEmpty ? nil : tokenizer.reply(stops: request.stops))
        } catch {
            // If the first request already fails for lack of a tokenizer, all others would too. Report it once, and
            // write nothing.
            if let missing = error.missingTokenizer, pending.isEmpty, totals.requests == 0 { throw missing }
            doneBytes += bytes.count + 1
            return try refuse(error)
        }
        try output.begin()
        if let warning = input.encoder.takeWarning() { say("pfx: line \(number): \(warning)") }
    }

    /// Whether the resumed output already has this line.
    private func isDone(_ number: Int, _ bytes: [UInt8]) -> Bool {
        guard !kept.ids.isEmpty || !kept.lineNumbers.isEmpty else { return false }
        guard let id = PromptFields.id(json: bytes) else { return kept.lineNumbers.contains(number) }
        return kept.ids.contains(id)
    }

    private func say(_ line: String) {
        progress.clear()
        Output.say(line)
    }

    /// Says what is wrong with a line, on standard error and in the output.
    private func refuse(_ bad: BadLine) throws {
        totals.refused += 1
        say("pfx: line \(bad.line): \(bad.sentence)")
        try output.write(ErrorLine(bad))
    }

    private func step() throws {
        try engine.step(
            onToken: { id, token in
                guard let text = pending[id]?.reply?.append(token) else { return }
                pending[id]?.stoppedText = text
                engine.cancel(id)
            },
            onFinish: { finish($0) })
        if let failure { throw failure }
        progress.show(
            bytes: doneBytes, totals, running: engine.runningCount,
            waiting: pending.count - engine.runningCount)
    }

    private func finish(_ result: GenerationResult) {
        let entry = pending.removeValue(forKey: result.id)
        doneBytes += entry?.byteCount ?? 0
        totals.add(result)
        let line = ResultLine(
            result, text: entry?.stoppedText ?? tokenizer.text(of: result.tokens),
            finishReason: entry?.stoppedText == nil ? result.finishReason : .stop)
        do {
            try output.write(line)
        } catch {
            failure = failure ?? error
        }
    }
}
