// The canonical encoding of an identity. The `spaces` table keeps it, and the space root is its hash.

/// An identity as it is stored: every field, but only a digest of the salt.
///
/// Encoding: the 8 bytes `PFXspac2`, then one field after the other in the order of `Field`. A field is a tag (1 byte),
/// a length (4 bytes, little-endian), and that many bytes. Absent fields have length 0. Labels follow the counted
/// fields and are not hashed.
public struct SpaceDescriptor: Hashable, Sendable {
    /// One field of an identity, by which two spaces can differ.
    public enum Field: UInt8, CaseIterable, Sendable {
        /// Digest of the weights.
        case weights = 1
        /// The planes of a page: `KVLayout.encodedPlanes`.
        case layout = 2
        /// Tokens in a whole page: 4 bytes.
        case pageSize = 3
        /// Position encoding parameters.
        case positions = 4
        /// Digest of the tokenizer.
        case tokenizer = 5
        /// Name of the engine.
        case engine = 6
        /// Version of the engine's page bytes: 4 bytes.
        case engineFormat = 7
        /// Tensor rank and size, pipeline rank and size: 4 integers of 4 bytes.
        case shard = 8
        /// Digest of the adapter, or nothing.
        case adapter = 9
        /// Digest of the tenant's salt, or nothing.
        case salt = 10
    }

    /// What every encoded descriptor begins with.
    package static let magic = Array("PFXspac2".utf8)

    /// The KV layout of the space's pages.
    public let layout: KVLayout
    /// Names for people.
    public let labels: [String: String]
    /// In the order of `Field`.
    private let fields: [[UInt8]]

    init(_ identity: ModelIdentity) {
        let shape = identity.layout
        layout = shape
        labels = identity.labels
        fields = Field.allCases.map { field in
            switch field {
            case .weights: identity.weights.bytes
            case .layout: shape.encodedPlanes
            case .pageSize: Self.integers(UInt32(shape.pageSize))
            case .positions: Array(identity.positions.utf8)
            case .tokenizer: identity.tokenizer.bytes
            case .engine: Array(identity.engine.utf8)
            case .engineFormat: Self.integers(identity.engineFormat)
            case .shard:
                Self.integers(
                    identity.shard.tensorRank, identity.shard.tensorSize, identity.shard.pipelineRank,
                    identity.shard.pipelineSize)
            case .adapter: identity.adapter?.bytes ?? []
            case .salt: identity.salt?.digest.bytes ?? []
            }
        }
    }

    private subscript(field: Field) -> [UInt8] { fields[field.index] }

    /// The descriptor of the sealed space of this identity: a keyed sum in the place of the salt's digest.
    package func sealed(by seal: SpaceSeal) -> SpaceDescriptor {
        SpaceDescriptor(self, salt: seal.descriptorSalt(self[.salt]))
    }

    private init(_ other: SpaceDescriptor, salt: [UInt8]) {
        layout = other.layout
        labels = other.labels
        fields = Field.allCases.map { $0 == .salt ? salt : other[$0] }
    }

    /// Reads a stored descriptor; nil when the bytes are not exactly one valid descriptor.
    package init?(_ bytes: [UInt8]) {
        guard bytes.starts(with: Self.magic) else { return nil }
        var reader = bytes.dropFirst(Self.magic.count)
        var fields: [[UInt8]] = []
        for field in Field.allCases {
            let limit = field == .layout ? Limits.encodedPlanes : Limits.identityText
            guard let value = Self.next(field.rawValue, &reader, limit: limit) else { return nil }
            fields.append(value)
        }
        var labels: [String: String] = [:]
        while !reader.isEmpty {
            guard let name = Self.next(0, &reader), let value = Self.next(0, &reader), labels.count < Limits.labels
            else {
                return nil
            }
            labels[String(decoding: name, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
        }
        let pageSize = fields[Field.pageSize.index]
        guard pageSize.count == 4,
            let layout = KVLayout(
                encodedPlanes: fields[Field.layout.index], pageSize: Int(Self.integer(pageSize, 0)))
        else { return nil }
        self.layout = layout
        self.labels = labels
        self.fields = fields
    }

    /// The space root: SHA-256 of the encoding without the labels.
    public var root: PrefixHash { PrefixHash(.sha256(counted)) }

    /// The bytes that the `spaces` table keeps.
    package var encoded: [UInt8] {
        labels.sorted { $0.key < $1.key }.reduce(into: counted) { bytes, label in
            Self.append(0, Array(label.key.utf8), to: &bytes)
            Self.append(0, Array(label.value.utf8), to: &bytes)
        }
    }

    /// The fields in which two descriptors differ. They are the reason why one space does not find the other's pages.
    public func differences(from other: SpaceDescriptor) -> [Field] {
        Field.allCases.filter { self[$0] != other[$0] }
    }

    /// One field as people read it: text, numbers or the first digits of a digest; `none` when it is absent.
    public func text(_ field: Field) -> String {
        let value = self[field]
        switch field {
        case .positions, .engine: return String(decoding: value, as: UTF8.self)
        case .pageSize, .engineFormat: return "\(Self.integer(value, 0))"
        case .shard: return (0..<4).map { "\(Self.integer(value, $0))" }.joined(separator: "/")
        case .layout: return layout.summary
        case .weights, .tokenizer, .adapter, .salt: return Digest(bytes: value)?.short ?? "none"
        }
    }

    private var counted: [UInt8] {
        Field.allCases.reduce(into: Self.magic) { bytes, field in
            Self.append(field.rawValue, self[field], to: &bytes)
        }
    }

    private static func integers(_ values: UInt32...) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) } }
    }

    private static func integer(_ bytes: [UInt8], _ index: Int) -> UInt32 {
        guard bytes.count >= 4 * index + 4 else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) }
    }

    private static func append(_ tag: UInt8, _ value: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(tag)
        bytes.append(contentsOf: integers(UInt32(value.count)))
        bytes.append(contentsOf: value)
    }

    private static func next(
        _ tag: UInt8, _ reader: inout ArraySlice<UInt8>, limit: Int = Limits.identityText
    ) -> [UInt8]? {
        guard reader.count >= 5, reader.first == tag else { return nil }
        let length = Int(integer(Array(reader.dropFirst().prefix(4)), 0))
        guard length <= limit, reader.count >= 5 + length else { return nil }
        defer { reader = reader.dropFirst(5 + length) }
        return Array(reader.dropFirst(5).prefix(length))
    }
}

extension SpaceDescriptor.Field {
    /// Its place in the order of all fields.
    fileprivate var index: Int { Int(rawValue) - 1 }
}
