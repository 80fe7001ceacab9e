// The owner's key: 32 secret bytes, which seal the data keys of a store's spaces.

internal import CSeal

/// The key of a store's owner. Every space that is made with it is sealed: whoever has the folder but not the key can
/// neither read its pages and token ids, nor confirm a guess of them.
///
/// A value type with one secret inside. It has no description but its `id`, so that it cannot be printed by mistake.
///
/// ```swift
/// let options = StoreOptions(sealingKey: try .init(file: "/etc/engine/kv.key"))   // head -c 32 /dev/urandom > kv.key
/// ```
public struct SealingKey: Sendable, CustomStringConvertible {
    /// Bytes of a key.
    public static let byteCount = 32

    let secret: KeyedSum
    /// What tells two keys apart, and nothing about them: 16 hexadecimal digits. `pfx info` shows it.
    public let id: String

    /// A key of 32 random bytes. The store cannot tell random bytes from a pass phrase: use a generator.
    ///
    /// - Throws: `.invalidKey` unless there are 32, or when all of them are the same.
    public init(bytes: [UInt8]) throws(StoreError) {
        guard bytes.count == Self.byteCount, let key = Digest(bytes: bytes) else {
            throw .invalidKey("it has \(bytes.count) bytes, not \(Self.byteCount)")
        }
        guard Set(bytes).count > 1 else { throw .invalidKey("all of its bytes are the same") }
        secret = KeyedSum(key: key)
        id = String(secret.of(Array("PFX key id 1".utf8)).description.prefix(16))
    }

    /// A key in the form of a file or a variable: 32 bytes, or 64 hexadecimal digits with white space around them.
    ///
    /// - Throws: `.invalidKey` for anything else.
    public init(text: [UInt8]) throws(StoreError) {
        if text.count == Self.byteCount {
            try self.init(bytes: text)
            return
        }
        let digits = String(decoding: text.filter { !Self.isSpace($0) }, as: UTF8.self)
        guard let key = Digest(hex: digits) else {
            throw .invalidKey("it is neither \(Self.byteCount) bytes nor \(2 * Self.byteCount) hexadecimal digits")
        }
        try self.init(bytes: key.bytes)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    /// The id.
    public var description: String { "sealing key \(id)" }

    /// The data key of a space, if this key sealed it; nil when another did.
    package func seal(_ wrapped: WrappedKey, for root: PrefixHash) -> SpaceSeal? {
        wrapped.dataKey(by: self, for: root).map { SpaceSeal(dataKey: $0) }
    }

    /// The key that a wrapped key of this salt is encrypted with.
    func wrappingKey(_ salt: SealBytes) -> ContentKey {
        ContentKey(secret.of(Array("PFX wrapping 1".utf8) + salt.bytes))
    }
}

extension SealingKey: Hashable {
    /// Whether both are the same key, by their ids: 64 bits of a keyed sum.
    public static func == (left: SealingKey, right: SealingKey) -> Bool { left.id == right.id }

    /// Feeds the id.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
