// What a space looks like from outside.

/// A space: what may share pages, and how much of it there is. A value type.
public struct SpaceInfo: Sendable, Equatable {
    /// The space root.
    public let root: PrefixHash
    /// The identity, with the salt as a digest only.
    public let descriptor: SpaceDescriptor
    /// Pages stored, tails included.
    public let pages: Int
    /// Pages with fewer tokens than the page size.
    public let tails: Int
    /// Tokens of all pages.
    public let tokens: Int
    /// Bytes of the pages as the engine gave them.
    public let rawBytes: ByteCount
    /// Bytes of the pages as encoded, without padding.
    public let encodedBytes: ByteCount
    /// Bytes of the pages' slots on disk.
    public let slotBytes: ByteCount
    /// Tokens that hits have given.
    public let hitTokens: Int
    /// When a page was stored or used last.
    public let lastUse: Timestamp
    /// The engine's measured prefill time per token; nil when no engine has reported one.
    public let prefillTimePerToken: Duration?
    /// How the space is sealed.
    public let sealing: SpaceSealing

    /// All that is known.
    package init(
        root: PrefixHash, descriptor: SpaceDescriptor, pages: Int, tails: Int, tokens: Int, rawBytes: ByteCount,
        encodedBytes: ByteCount, slotBytes: ByteCount, hitTokens: Int, lastUse: Timestamp,
        prefillTimePerToken: Duration?, sealing: SpaceSealing = .none
    ) {
        self.root = root
        self.descriptor = descriptor
        self.pages = pages
        self.tails = tails
        self.tokens = tokens
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
        self.slotBytes = slotBytes
        self.hitTokens = hitTokens
        self.lastUse = lastUse
        self.prefillTimePerToken = prefillTimePerToken
        self.sealing = sealing
    }
}

/// How a space is sealed.
public enum SpaceSealing: Sendable, Equatable {
    /// Whoever has the folder can read it.
    case none
    /// Its data key is encrypted with the sealing key of this id.
    case sealed(keyID: String)
    /// Its data key was destroyed: its pages can be read by nobody, and go.
    case forgotten
    /// What it has in the place of its wrapped data key is damaged: its pages can be read by nobody.
    case damaged
}

extension SpaceInfo: Encodable {
    private enum Key: String, CodingKey {
        case root, labels, identity, pages, tails, tokens, rawBytes, encodedBytes, slotBytes, hitTokens, lastUse
        case prefillNanoseconds, sealing
    }

    /// Writes the identity as its fields' names and texts, the prefill time in nanoseconds, and of a sealed space
    /// the id of its key.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(root, forKey: .root)
        try values.encode(descriptor.labels, forKey: .labels)
        try values.encode(descriptor.texts, forKey: .identity)
        try values.encode(pages, forKey: .pages)
        try values.encode(tails, forKey: .tails)
        try values.encode(tokens, forKey: .tokens)
        try values.encode(rawBytes, forKey: .rawBytes)
        try values.encode(encodedBytes, forKey: .encodedBytes)
        try values.encode(slotBytes, forKey: .slotBytes)
        try values.encode(hitTokens, forKey: .hitTokens)
        try values.encode(lastUse, forKey: .lastUse)
        try values.encodeIfPresent(prefillTimePerToken?.nanoseconds, forKey: .prefillNanoseconds)
        switch sealing {
        case .none: break
        case .sealed(let id): try values.encode(id, forKey: .sealing)
        case .forgotten: try values.encode("forgotten", forKey: .sealing)
        case .damaged: try values.encode("damaged", forKey: .sealing)
        }
    }
}
