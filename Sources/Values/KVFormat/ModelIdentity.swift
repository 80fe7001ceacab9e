// What must be equal for two engines to share pages.

/// A model as the store sees it. Every field counts: two identities that differ in one field name two spaces, and no
/// page of one space is ever served in the other. If you are in doubt whether a field is equal, make it different: that
/// costs only recomputing.
///
/// An identity always stays valid: the fields that `Limits` bounds are checked when it is made, and cannot be changed.
public struct ModelIdentity: Hashable, Sendable {
    /// Digest over the contents of all weight files and over the configuration that affects them.
    public var weights: Digest
    /// Shape, order and element type of a page, and its size in tokens.
    public var layout: KVLayout
    /// The position encoding's parameters as canonical text, such as `rope theta=10000 scaling=none`.
    public let positions: String
    /// Digest over the tokenizer's files.
    public var tokenizer: Digest
    /// The engine's name. Two engines never share pages, because they arrange the bytes differently.
    public let engine: String
    /// The version of the engine's page bytes. An engine must raise it whenever its kernels write other bytes.
    public var engineFormat: UInt32
    /// Which part this is of a model that is split over several devices.
    public var shard: Shard
    /// Digest over the adapter's weights (LoRA), or nil for none.
    public var adapter: Digest?
    /// The tenant's secret, or nil for none. Only a digest of it reaches the disk. Without the secret, no page of the
    /// tenant is found.
    public var salt: Salt?
    /// Names for people (`model: Llama 3.1 8B`). They do not change the space.
    public let labels: [String: String]

    /// Makes an identity.
    ///
    /// - Throws: `StoreError.invalidIdentity` when a text or the number of labels passes `Limits`.
    public init(
        weights: Digest, layout: KVLayout, positions: String, tokenizer: Digest, engine: String,
        engineFormat: UInt32,
        shard: Shard = .whole, adapter: Digest? = nil, salt: Salt? = nil, labels: [String: String] = [:]
    ) throws(StoreError) {
        for text in [positions, engine] where text.utf8.count > Limits.identityText {
            throw .invalidIdentity("a text field passes \(Limits.identityText) bytes")
        }
        guard labels.count <= Limits.labels else { throw .invalidIdentity("more than \(Limits.labels) labels") }
        for (name, value) in labels where name.utf8.count + value.utf8.count > Limits.identityText {
            throw .invalidIdentity("a label passes \(Limits.identityText) bytes")
        }
        self.weights = weights
        self.layout = layout
        self.positions = positions
        self.tokenizer = tokenizer
        self.engine = engine
        self.engineFormat = engineFormat
        self.shard = shard
        self.adapter = adapter
        self.salt = salt
        self.labels = labels
    }

    /// The space root: SHA-256 of the canonical encoding, the hash from which every prefix hash of the space is
    /// chained.
    public var spaceRoot: PrefixHash { descriptor.root }

    /// The form in which the store keeps this identity.
    public var descriptor: SpaceDescriptor { SpaceDescriptor(self) }
}

/// One part of a model that is split over several devices.
public struct Shard: Hashable, Sendable {
    /// This part's number among the tensor-parallel parts, counted from 0.
    public var tensorRank: UInt32
    /// Number of tensor-parallel parts.
    public var tensorSize: UInt32
    /// This part's number among the pipeline stages, counted from 0.
    public var pipelineRank: UInt32
    /// Number of pipeline stages.
    public var pipelineSize: UInt32

    /// The whole model on one device.
    public static let whole = Shard(tensorRank: 0, tensorSize: 1, pipelineRank: 0, pipelineSize: 1)

    /// Makes the place of one part.
    public init(tensorRank: UInt32, tensorSize: UInt32, pipelineRank: UInt32, pipelineSize: UInt32) {
        self.tensorRank = tensorRank
        self.tensorSize = tensorSize
        self.pipelineRank = pipelineRank
        self.pipelineSize = pipelineSize
    }
}

/// A tenant's secret. It has no description, so that it cannot be printed by mistake.
public struct Salt: Hashable, Sendable {
    /// SHA-256 of a tag and the secret. Nothing else of the secret is kept.
    package let digest: Digest

    /// Makes a salt from `secret`. The server must choose the secret; never take it from a request.
    /// - Throws: `StoreError.invalidIdentity` when the length of the secret is outside `Limits.saltBytes`.
    public init(_ secret: [UInt8]) throws(StoreError) {
        guard Limits.saltBytes.contains(secret.count) else {
            throw .invalidIdentity("a salt has \(Limits.saltBytes.lowerBound) to \(Limits.saltBytes.upperBound) bytes")
        }
        digest = .sha256(Array("PFX salt 1".utf8) + secret)
    }
}
