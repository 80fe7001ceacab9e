// Model, tokenizer, store and engine, which are opened and closed together.

internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// Everything that a run needs. Used by one thread.
final class Runtime {
    let checkpoint: Checkpoint
    let tokenizer: TokenizerChoice
    let engine: Engine
    /// Nil without a store.
    let store: Store?
    /// How long opening took.
    let openSeconds: Double
    /// What was wrong with the store's remote when it was closed.
    private var remoteFaults: [String] = []

    /// Opens everything, the cheap parts first, so that a mistake is reported before the weights are read.
    /// - Throws: `EngineError` for the checkpoint, `StoreError` for the store. After an error nothing stays open.
    init(_ arguments: EngineArguments, parallel: Int, cache: CacheArguments?) throws {
        let clock = ContinuousClock()
        let began = clock.now
        checkpoint = try Checkpoint(folder: arguments.model)
        tokenizer = try TokenizerChoice(of: checkpoint)
        let salt = try cache?.salt()
        store = try cache?.open()
        do throws(EngineError) {
            engine = try Engine(
                checkpoint: checkpoint, options: arguments.options(parallel: parallel), store: store, salt: salt)
        } catch {
            try? store?.close()
            throw error
        }
        openSeconds = began.duration(to: clock.now).seconds
        if let unused = engine.unusedTensors.first {
            let count = Render.count(engine.unusedTensors.count, "tensor")
            Output.say("pfx: the checkpoint has \(count) that the model does not use, such as \(unused).")
        }
    }

    /// Makes everything that was computed durable, and closes the store.
    /// - Throws: `StoreError` when something could not be written. The store is closed in that case too.
    func close() throws {
        guard let store else { return }
        do throws(StoreError) {
            try store.flush()
        } catch {
            try? store.close()
            throw error
        }
        remoteFaults = store.statistics.remote?.faults ?? []
        try store.close()
    }

    /// The remote's part in the run; nil without one.
    var remotePart: RemotePart? { store?.statistics.remote.map { RemotePart($0, faults: remoteFaults) } }

    /// Prefill time that the store saved: the time in which this engine would have computed the loaded tokens, minus
    /// the time of loading. Nil without a store.
    func secondsSaved() -> Double? { store.map { $0.statistics.savedTime.seconds } }

    /// Bytes that the store's files take on the disk; 0 without a store.
    var bytesOnDisk: UInt64 {
        guard let path = store?.path, let names = try? FileManager.default.subpathsOfDirectory(atPath: path) else {
            return 0
        }
        return names.reduce(0) { sum, name in
            var status = stat()
            guard unsafe lstat(path + "/" + name, &status) == 0 else { return sum }
            return sum + UInt64(status.st_blocks) * 512
        }
    }
}

/// A checkpoint's tokenizer, or the reason why it has none. Requests of token ids do not need one.
enum TokenizerChoice {
    case available(Tokenizer)
    case unavailable(EngineError)

    /// The tokenizer of `checkpoint`.
    /// - Throws: `EngineError` when the tokenizer is damaged or does not fit.
    init(of checkpoint: Checkpoint) throws(EngineError) {
        do throws(EngineError) {
            self = .available(try checkpoint.tokenizer())
        } catch {
            switch error {
            case .missingFile, .unsupportedTokenizer: self = .unavailable(error)
            default: throw error
            }
        }
    }

    /// The tokenizer.
    func get() throws(EngineError) -> Tokenizer {
        switch self {
        case .available(let tokenizer): return tokenizer
        case .unavailable(let error): throw error
        }
    }

    /// A reply that ends with one of `stops`; nil without a tokenizer.
    func reply(stops: [String]) -> ReplyText? {
        guard case .available(let tokenizer) = self else { return nil }
        return ReplyText(tokenizer, stops: stops)
    }

    /// The text of `tokens`; nil without a tokenizer.
    func text(of tokens: [UInt32]) -> String? {
        guard case .available(let tokenizer) = self else { return nil }
        return tokenizer.decode(tokens)
    }
}

extension Duration {
    /// The duration in seconds.
    var seconds: Double {
        let (whole, fraction) = components
        return Double(whole) + Double(fraction) * 1e-18
    }
}
