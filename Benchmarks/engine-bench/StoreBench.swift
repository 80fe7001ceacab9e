// What a store costs the engine, and what it gains: the rate of prefill with and without spilling, and the time to the
// first token from RAM and after a restart.

import Foundation
import LlamaEngine
import PrefixStore

/// Both measurements. The two sides of each are measured in turns, so that both see the same machine; medians count.
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
        let spilling = try prefill(folder + "/prefill")
        let first = try firstToken(folder + "/first")
        let model =
            arguments.model.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "random, \(arguments.size.rawValue)"
        let what: [String: Any] = [
            "model": model, "codec": arguments.codec.rawValue, "rounds": arguments.rounds,
        ]
        return what.merging(spilling) { $1 }.merging(first) { $1 }
    }

    /// It does not keep loaded pages in RAM: the engine inserts a prompt's pages anyway, after its first token.
    private func store(_ folder: String, quota: ByteCount) throws -> Store {
        try Store(
            at: folder,
            options: StoreOptions(
                quota: quota, hotCapacity: .mebibytes(Self.hotMebibytes), codec: arguments.codec, promotes: false))
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
