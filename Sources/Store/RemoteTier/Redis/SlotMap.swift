// Which server of a cluster has which keys.

/// The slots of a cluster, each with the servers that have it. A value type.
struct SlotMap: Sendable, Equatable {
    /// Slots of every cluster.
    static let slots = 16_384

    /// The servers of some slots: the primary first, then its replicas.
    struct Shard: Sendable, Equatable {
        /// The server that takes changes.
        var primary: NodeAddress
        /// Servers that have copies.
        var replicas: [NodeAddress]
    }

    /// The shards.
    private(set) var shards: [Shard] = []
    /// For each slot the place of its shard; nothing for a slot that nobody has.
    private var places: [UInt16]

    private static let none = UInt16.max
    /// Servers that a map learns from redirections at most: the next map has all of them.
    static let strangerLimit = 16
    private var strangers = 0

    /// A map in which nobody has anything.
    init() { places = [UInt16](repeating: Self.none, count: Self.slots) }

    /// A server that has everything, with replicas.
    init(all shard: Shard) {
        shards = [shard]
        places = [UInt16](repeating: 0, count: Self.slots)
    }

    /// Reads the answer to `CLUSTER SLOTS`; nil when it is none.
    ///
    /// - Parameter asked: the server that has answered. It leaves out its own name if it does not know that.
    init?(_ reply: RespValue, asked: NodeAddress) {
        guard case .list(let ranges) = reply, ranges.count <= Self.slots else { return nil }
        self.init()
        for range in ranges {
            guard case .list(let parts) = range, parts.count >= 3, case .integer(let first) = parts[0],
                case .integer(let last) = parts[1], first >= 0, first <= last, last < Self.slots
            else { return nil }
            let nodes = parts[2...].compactMap { Self.address($0, asked: asked) }
            guard let primary = nodes.first else { continue }
            let place = self.place(of: Shard(primary: primary, replicas: Array(nodes.dropFirst())))
            for slot in Int(first)...Int(last) { places[slot] = place }
        }
    }

    private mutating func place(of shard: Shard) -> UInt16 {
        if let known = shards.firstIndex(of: shard) { return UInt16(known) }
        shards.append(shard)
        return UInt16(shards.count - 1)
    }

    private static func address(_ node: RespValue, asked: NodeAddress) -> NodeAddress? {
        guard case .list(let parts) = node, parts.count >= 2, case .integer(let port) = parts[1],
            let port = UInt16(exactly: port), port != 0
        else { return nil }
        let host = parts[0].string ?? ""
        guard NodeAddress.isHost(host) || host == "?" else { return nil }
        return NodeAddress(host: host.isEmpty || host == "?" ? asked.host : host, port: port)
    }

    /// The servers of a slot; nil when nobody has it.
    package subscript(slot: UInt16) -> Shard? {
        let place = places[Int(slot) % Self.slots]
        return place == Self.none ? nil : shards[Int(place)]
    }

    /// Takes note that a server has become the owner of a slot, unless the map knows too many servers from hearsay.
    mutating func move(_ slot: UInt16, to address: NodeAddress) {
        let known = shards.firstIndex { $0.primary == address }
        if known == nil {
            guard strangers < Self.strangerLimit else { return }
            strangers += 1
        }
        places[Int(slot) % Self.slots] =
            known.map { UInt16($0) } ?? place(of: Shard(primary: address, replicas: []))
    }

    /// All servers.
    var addresses: [NodeAddress] { shards.flatMap { [$0.primary] + $0.replicas } }

    /// Whether every slot has a server.
    var isWhole: Bool { !places.contains(Self.none) }

    /// The slot of a key: CRC-16 (XMODEM) of what is between its first braces, or of all of it.
    static func slot(of key: [UInt8]) -> UInt16 {
        var hashed = key[...]
        if let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        {
            hashed = key[(open + 1)..<close]
        }
        var sum: UInt16 = 0
        for byte in hashed { sum = sum << 8 ^ table[Int(sum >> 8) ^ Int(byte)] }
        return sum % UInt16(slots)
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { sum, _ in sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
    }
}
