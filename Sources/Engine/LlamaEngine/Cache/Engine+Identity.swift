// The identity that a store must know before it may serve an engine pages.

public import KVFormat

extension Engine {
    /// Version of the engine's arithmetic. Raise it whenever the bits of the KV may change.
    static let arithmeticVersion: UInt32 = 1

    /// The identity of `checkpoint`'s KV under `options`.
    ///
    /// The build of the kernels is part of the identity, because the results of builds differ in the last bits, and a
    /// reply must not depend on which build filled the store.
    ///
    /// - Throws: `EngineError` when a file of the checkpoint cannot be digested, or the options do not fit the model.
    /// - Complexity: reads all weights unless their digest is cached.
    public static func identity(of checkpoint: Checkpoint, options: EngineOptions, salt: Salt? = nil)
        throws(EngineError) -> ModelIdentity
    {
        let name = checkpoint.folder.split(separator: "/").last.map(String.init) ?? checkpoint.folder
        let layout = try layout(checkpoint, options)
        let weights = try checkpoint.weightsDigest()
        let tokenizer = try checkpoint.tokenizerDigest()
        do throws(StoreError) {
            return try ModelIdentity(
                weights: weights, layout: layout, positions: checkpoint.config.rope.identityText, tokenizer: tokenizer,
                engine: "LlamaEngine/\(Kernels.current.name)", engineFormat: arithmeticVersion, salt: salt,
                labels: ["model": String(name.prefix(100))])
        } catch {
            throw .store(error)
        }
    }
}

extension RopeParameters {
    /// The parameters as text. Equal rotations have equal texts.
    var identityText: String {
        let base = "rope theta=\(theta)"
        return switch scaling {
        case .none: base
        case .linear(let factor): base + " linear factor=\(factor)"
        case .llama3(let factor, let low, let high, let original):
            base + " llama3 factor=\(factor) low=\(low) high=\(high) original=\(original)"
        }
    }
}
