// What a store costs the engine, and what it gains: the rate of prefill with and without spilling, and the time to the
// first token from RAM and after a restart.

import Foundation
import LlamaEngine
import PrefixStore

/// All measurements. The two sides of each are measured in turns, so that both see the same machine; medians count.
struct StoreBench {
    private let checkpoint: Checkpoint
    private let arguments: Arguments
    private let parent: String

    /// Prompts of one round of prefill: the pages still in the queue when the last one ends are few in comparison.
    private static let prompts = 4
    /// Small tiers, for stores that are full after the warm-up: new memory, for pages and for a file that grows, costs
    /// a virtual machine many times the copy, and only once.
    private static let hotMebibytes: UInt64 = 64, quotaMebibytes: UInt64 = 96
    /// The prompt of the second measurement, and how much of it is stored.
    private static let promptTokens = 2000, storedTokens = 1950

    init(_ checkpoint: Checkpoint, _ arguments: Arguments, parent: String) {
        self.checkpoint = checkpoint
        self.arguments = arguments
        self.parent = parent
    }

    /// What was measured, by name.
    func run() throws -> [String: Any] {
        let folder = parent + "/engine-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let measured =
            if let remote = arguments.remote {
                try prefill(folder, beside: remote)
            } else {
                try prefill(folder + "/prefill").merging(firstToken(folder + "/first")) { $1 }
            }
        let model =
            arguments.model.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "random, \(arguments.size.rawValue)"
        let what: [String: Any] = [
            "model": model, "codec": arguments.codec.rawValue, "rounds": arguments.rounds,
        ]
        return what.merging(measured) { $1 }
    }

    /// It does not keep loaded pages in RAM: the engine inserts a prompt's pages anyway, after its first token.
    private func store(_ folder: String, quota: ByteCount, remote: String? = nil) throws -> Store {
        try Store(
            at: folder,
            options: StoreOptions(
                quota: quota, hotCapacity: .mebibytes(Self.hotMebibytes), codec: arguments.codec, promotes: false,
                remote: remote.map { RemoteOptions(url: $0, timeToLive: .seconds(30)) }))
    }

    private func engine(_ store: Store?) throws -> Engine {
        let options = EngineOptions(
            kvElement: arguments.kv, threads: arguments.threads, maxParallel: 1)
        return try Engine(checkpoint: checkpoint, options: options, store: store)
    }

    /// Token ids that no other number has.
    private func tokens(_ count: Int, _ number: Int) -> [UInt32] {
        var state = UInt64(bitPattern: Int64(number)) &* 0x9E37_79B9_7F4A_7C15
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt32(state >> 33) % UInt32(checkpoint.config.vocabularySize)
        }
    }

    // MARK: Prefill

    private func prefill(_ folder: String) throws -> [String: Any] {
        let count = min(arguments.tokens, checkpoint.config.maxPositions - 1)
        let store = try store(folder, quota: .mebibytes(Self.quotaMebibytes))
        let (plain, spilling) = (try engine(nil), try engine(store))
        var rounds: [(plain: Measure, spilling: Measure, flushed: Measure)] = []
        // The first rounds warm up and do not count.
        let bytes = plain.layout.bytesPerToken * count * Self.prompts
        let warmUp = 2 * Int(Self.quotaMebibytes) << 20 / bytes + 1
        for round in 0..<warmUp + arguments.rounds {
            let prompts = (0..<Self.prompts).map { tokens(count, round * Self.prompts + $0) }
            let without = try measure { for prompt in prompts { _ = try plain.prefill(prompt) } }
            let with = try measure { for prompt in prompts { _ = try spilling.prefill(prompt) } }
            // What is left of the spill must not disturb the next round without one.
            let flush = try measure { try store.flush() }
            if round >= warmUp { rounds.append((without, with, with + flush)) }
        }
        let statistics = store.statistics
        try store.close()
        let all = Double(count * Self.prompts)
        let (without, with) = (median(rounds.map(\.plain.seconds)), median(rounds.map(\.spilling.seconds)))
        return [
            "prefill_tokens": count,
            "prefill_tokens_per_second": (all / without).rounded(),
            "prefill_tokens_per_second_spilling": (all / with).rounded(),
            "prefill_rate_spilling_to_plain": median(rounds.map { $0.plain.seconds / $0.spilling.seconds }),
            "prefill_cpu_spilling_to_plain": median(rounds.map { $0.flushed.cpuSeconds / $0.plain.cpuSeconds }),
            "kv_bytes_per_second": (Double(plain.layout.bytesPerToken) * all / with).rounded(),
            "spilled_pages": statistics.spilledPages,
        ]
    }

    /// The same with a store alone and one that has a remote, in turns.
    private func prefill(_ folder: String, beside remote: String) throws -> [String: Any] {
        let count = min(arguments.tokens, checkpoint.config.maxPositions - 1)
        let alone = try store(folder + "/alone", quota: .mebibytes(Self.quotaMebibytes))
        let linked = try store(folder + "/linked", quota: .mebibytes(Self.quotaMebibytes), remote: remote)
        let (first, second) = (try engine(alone), try engine(linked))
        var rounds: [(alone: Measure, linked: Measure, aloneDone: Measure, linkedDone: Measure)] = []
        let bytes = first.layout.bytesPerToken * count * Self.prompts
        let warmUp = 2 * Int(Self.quotaMebibytes) << 20 / bytes + 1
        for round in 0..<warmUp + arguments.rounds {
            let prompts = (0..<Self.prompts).map { tokens(count, round * Self.prompts + $0) }
            func run(_ engine: Engine, _ store: Store) throws -> (Measure, Measure) {
                let run = try measure { for prompt in prompts { _ = try engine.prefill(prompt) } }
                let rest = try measure {
                    try store.flush()
                    _ = try store.flushRemote(within: .seconds(60))
                }
                return (run, run + rest)
            }
            let one: (Measure, Measure), other: (Measure, Measure)
            if round.isMultiple(of: 2) {
                one = try run(first, alone)
                other = try run(second, linked)
            } else {
                other = try run(second, linked)
                one = try run(first, alone)
            }
            if round >= warmUp { rounds.append((one.0, other.0, one.1, other.1)) }
        }
        let statistics = linked.statistics.remote
        try alone.close()
        try linked.close()
        let all = Double(count * Self.prompts)
        return [
            "prefill_tokens": count,
            "prefill_tokens_per_second_store": (all / median(rounds.map(\.alone.seconds))).rounded(),
            "prefill_tokens_per_second_remote": (all / median(rounds.map(\.linked.seconds))).rounded(),
            "prefill_rate_remote_to_store": median(rounds.map { $0.alone.seconds / $0.linked.seconds }),
            "prefill_cpu_remote_to_store": median(
                rounds.map { $0.linkedDone.cpuSeconds / $0.aloneDone.cpuSeconds }),
            "kv_bytes_per_second": (Double(first.layout.bytesPerToken) * all / median(rounds.map(\.linked.seconds)))
                .rounded(),
            "put_pages": statistics?.putPages ?? 0, "questions": statistics?.questions ?? 0,
            "late_questions": statistics?.lateQuestions ?? 0,
        ]
    }

    private func measure(_ body: () throws -> Void) throws -> Measure {
        var failure: (any Error)?
        let measure = Measure.of { do { try body() } catch { failure = error } }
        if let failure { throw failure }
        return measure
    }

    // MARK: First token

    private func firstToken(_ folder: String) throws -> [String: Any] {
        let known = tokens(Self.storedTokens, -2)
        let filling = try store(folder, quota: .gibibytes(4))
        _ = try engine(filling).prefill(known)
        try filling.flush()
        try filling.close()
        var seconds: (restart: [Double], hot: [Double], computed: [Double]) = ([], [], [])
        for round in 0..<arguments.rounds {
            let store = try store(folder, quota: .gibibytes(4))
            let engine = try engine(store)
            // The engine's own memory is new too, whatever the store does.
            _ = try engine.prefill(tokens(Self.promptTokens, -100 - round))
            // What that spills must not disturb the one that is measured first.
            try store.flush()
            let restart = try result(known, 2 * round, engine)
            try store.flush()
            let hot = try result(known, 2 * round + 1, engine)
            seconds.computed.append(try result(tokens(Self.storedTokens, -1000 - round), 0, engine).seconds)
            guard restart.reused.cold == Self.storedTokens, hot.reused.hot == Self.storedTokens else {
                throw BenchError.notReused("\(restart.reused), \(hot.reused)")
            }
            seconds.restart.append(restart.seconds)
            seconds.hot.append(hot.seconds)
            try store.close()
        }
        return [
            "first_token_milliseconds_computed": median(seconds.computed) * 1e3,
            "first_token_milliseconds_from_ram": median(seconds.hot) * 1e3,
            "first_token_milliseconds_after_restart": median(seconds.restart) * 1e3,
            "first_token_restart_to_ram": median(zip(seconds.restart, seconds.hot).map { $0 / $1 }),
        ]
    }

    /// The time to the first token of a prompt that begins with `known`, and what of it was reused.
    private func result(_ known: [UInt32], _ number: Int, _ engine: Engine) throws -> (
        seconds: Double, reused: ReusedTokens
    ) {
        let prompt = known + tokens(Self.promptTokens - known.count, 1_000_000 + number)
        var found: (Double, ReusedTokens)?
        engine.run([GenerationRequest(id: "", tokens: prompt, maxNewTokens: 1)]) { _, result in
            if case .success(let result) = result, let time = result.timeToFirstToken {
                found = (time / .seconds(1), result.reusedTokens)
            }
        }
        guard let found else { throw BenchError.noToken }
        return found
    }

    private func median(_ numbers: [Double]) -> Double {
        let sorted = numbers.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}

/// What makes a measurement worthless.
enum BenchError: Error {
    case noToken
    case notReused(String)
}
