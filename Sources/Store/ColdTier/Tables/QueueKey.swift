// The table `queue`, which holds pages in the order of their eviction: a list by expiry, and a list by last use for
// each class.

package import KVFormat

/// A place in the eviction order. The value is empty.
///
/// An unpinned page has one entry in the list of its class, and another in the list by expiry if it has an expiry. A
/// pinned page has no entry.
///
/// | bytes of the key | field |
/// | --- | --- |
/// | 0 | list: 0 by expiry, 1 to 6 the classes by use |
/// | 1..<9 | milliseconds, big-endian with the sign bit flipped: last use or expiry |
/// | 9..<13 | `0xFFFFFFFF` minus the first token's position, big-endian: at equal times the deeper page comes first |
/// | 13..<45 | prefix hash |
package struct QueueKey: Equatable, Sendable {
    /// Which list an entry belongs to.
    package enum Order: Equatable, Sendable {
        /// By expiry: pages whose time has passed are evicted before all others.
        case expiry
        /// A class of pages by last use.
        case use(Int)

        /// The stored byte.
        var byte: UInt8 {
            switch self {
            case .expiry: 0
            case .use(let useClass): UInt8(1 + useClass)
            }
        }

        /// The list of a stored byte.
        init?(byte: UInt8) {
            guard Int(byte) <= UseHistory.classes else { return nil }
            self = byte == 0 ? .expiry : .use(Int(byte) - 1)
        }
    }

    static let byteCount = 45

    /// Which list the entry belongs to.
    package let order: Order
    /// Last use or expiry, milliseconds.
    package let milliseconds: Int64
    /// Position of the page's first token.
    package let firstToken: UInt32
    /// The page.
    package let hash: PrefixHash

    /// An entry from its fields.
    package init(_ order: Order, milliseconds: Int64, firstToken: UInt32, hash: PrefixHash) {
        self.order = order
        self.milliseconds = milliseconds
        self.firstToken = firstToken
        self.hash = hash
    }

    /// The entries that a page with this recency has.
    package static func entries(of hash: PrefixHash, _ recency: RecencyRecord, firstToken: UInt32) -> [QueueKey] {
        guard recency.pins == 0 else { return [] }
        let use = QueueKey(
            .use(recency.place.useClass), milliseconds: recency.place.time, firstToken: firstToken, hash: hash)
        guard recency.expiry != 0 else { return [use] }
        return [use, QueueKey(.expiry, milliseconds: recency.expiry, firstToken: firstToken, hash: hash)]
    }

    /// Reads a key; nil when its length or list is impossible.
    package init?(_ key: RawSpan) {
        guard key.byteCount == Self.byteCount, let order = Order(byte: key.integer(at: 0, as: UInt8.self)) else {
            return nil
        }
        self.order = order
        milliseconds = Int64(bitPattern: key.bigEndian(at: 1, as: UInt64.self) ^ (1 << 63))
        firstToken = ~key.bigEndian(at: 9, as: UInt32.self)
        hash = PrefixHash(key, at: 13)
    }

    /// The stored key.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(order.byte)
        writer.appendBigEndian(UInt64(bitPattern: milliseconds) ^ (1 << 63))
        writer.appendBigEndian(~firstToken)
        writer.append(hash)
        return writer.bytes
    }
}
