// What a sealed space's data key gives: keyed names, and a key for every record and node.

internal import CSeal

/// The keys of one sealed space. They exist only in processes that were given the store's sealing key. Thread-safe.
///
/// The memory of the prepared keys is overwritten when nobody uses them any more. That of the data key, and of the keys
/// of single records, is not: Swift may copy such values.
package final class SpaceSeal: Sendable {
    private let dataKey: Digest
    private let records: KeyedSum
    private let nodes: KeyedSum
    private let edges: KeyedSum
    private let chain: KeyedSum
    private let salts: KeyedSum

    /// The keys that follow from a data key: 32 random bytes.
    package init(dataKey: Digest) {
        self.dataKey = dataKey
        let source = KeyedSum(key: dataKey)
        records = source.key(for: "PFX record key 1")
        nodes = source.key(for: "PFX node key 1")
        edges = source.key(for: "PFX index key 1")
        chain = source.key(for: "PFX chain key 1")
        salts = source.key(for: "PFX salt key 1")
    }

    /// The seal of a new space: its data key is random.
    package convenience init() {
        let (first, second) = (SealBytes.random(), SealBytes.random())
        guard let key = Digest(bytes: first.bytes + second.bytes) else { preconditionFailure("32 bytes are a key") }
        self.init(dataKey: key)
    }

    /// The data key under the owner's key; see `SealingKey.wrap`.
    package func wrapped(by key: SealingKey, for root: PrefixHash) -> [UInt8] {
        WrappedKey(dataKey, by: key, for: root, salt: .random()).bytes
    }

    // MARK: Names

    /// As `Digest.sha256(_:_:)`, but only for those who have the key.
    func hash(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Digest {
        unsafe chain.of(first, second)
    }

    /// What an edge has in the place of token ids: enough to find the children that begin with a token.
    package func edgeTag(parent: PrefixHash, first token: TokenID) -> UInt64 {
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: token >> (8 * UInt32($0))) }
        return edges.of(parent.bytes + bytes).prefixWord
    }

    /// What a descriptor has in the place of the salt's digest, which somebody who guesses the salt could confirm.
    func descriptorSalt(_ digest: [UInt8]) -> [UInt8] { salts.of(digest).bytes }

    // MARK: Content

    /// The key of the record that is stored under `key`.
    package func recordKey(_ key: PrefixHash, salt: SealBytes) -> ContentKey {
        ContentKey(records.of(key.bytes + salt.bytes))
    }

    /// The key of what a node says in place of its token ids.
    package func nodeKey(_ hash: PrefixHash, salt: SealBytes) -> ContentKey {
        ContentKey(nodes.of(hash.bytes + salt.bytes))
    }
}

extension SpaceSeal: Hashable {
    /// Whether both are the seal of one space, in one process.
    package static func == (left: SpaceSeal, right: SpaceSeal) -> Bool { left === right }

    /// Feeds the object's identity.
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
