// What tools ask of the servers: lists of pages, and how the servers are.

internal import KVFormat
internal import PageCodec
internal import Threads

extension RedisClient {
    // MARK: Listing

    /// Keys that are asked for at once.
    private static let batch = 256

    /// Lists the pages of all spaces: asks every primary for all of its keys.
    func list(_ root: PrefixHash, bytes: Int, _ onHeader: (PrefixHash, EncodedRecord) -> Void) throws(RemoteFault) {
        // The first command makes the client learn the map.
        _ = try held([[root]], .long)
        for primary in Set(map.shards.map(\.primary)) {
            var cursor = ScanCursor()
            repeat {
                let (next, hashes) = try scan(primary, cursor.place)
                guard cursor.move(to: next) else { throw .nonsense }
                for start in stride(from: 0, to: hashes.count, by: Self.batch) {
                    let part = Array(hashes[start..<min(start + Self.batch, hashes.count)])
                    try beginnings(part, bytes, onHeader)
                }
            } while cursor.place != 0
        }
    }

    private func scan(_ server: NodeAddress, _ cursor: UInt64) throws(RemoteFault) -> (UInt64, [PrefixHash]) {
        var next: UInt64?
        var hashes: [PrefixHash] = []
        var refused: RemoteFault?
        let command = RedisCommand("SCAN", "\(cursor)", "MATCH", "pfx:1:p:*", "COUNT", "1000", hasLongAnswer: true)
        let patience = Patience.long
        let fault = run([command], on: server, before: patience.deadline, stall: patience.stall) { _, reply in
            guard case .list(let parts) = reply, parts.count == 2, case .list(let keys) = parts[1] else {
                refused = reply.refusal
                return true
            }
            next = parts[0].string.flatMap { UInt64($0) }
            hashes = keys.compactMap { key in key.string.flatMap { PrefixHash(hex: String($0.dropFirst(8))) } }
            return true
        }
        if let fault = fault ?? refused { throw fault }
        guard let next else { throw .nonsense }
        return (next, hashes)
    }

    private func beginnings(
        _ hashes: [PrefixHash], _ bytes: Int, _ onHeader: (PrefixHash, EncodedRecord) -> Void
    ) throws(RemoteFault) {
        let commands = hashes.map { hash in
            let key = Self.key(ofPage: hash)
            let range = ["0", "\(bytes - 1)"].map { Array($0.utf8) }
            return RedisCommand([Array("GETRANGE".utf8), key] + range, slot: SlotMap.slot(of: key), weight: bytes)
        }
        let fault = run(commands, .long) { index, reply in
            if let value = reply.value { onHeader(hashes[index], value) }
            return true
        }
        if let fault { throw fault }
    }

    // MARK: Checking

    func question(_ hash: PrefixHash, _ patience: Patience) throws(RemoteFault) {
        var refused: RemoteFault?
        let fault = run([Self.exists(hash)], patience) { _, reply in
            if case .error = reply { refused = reply.refusal }
            return true
        }
        if let fault = fault ?? refused { throw fault }
    }

    func putTrial(_ keys: [String], _ value: [UInt8], _ patience: Patience) -> RemoteFault? {
        let commands = keys.map { key in
            let key = Self.trial(key)
            return RedisCommand(
                [Array("SET".utf8), key, value, Array("EX".utf8), Array("10".utf8)], slot: SlotMap.slot(of: key),
                changes: true)
        }
        var refused: RemoteFault?
        let fault = run(commands, patience) { _, reply in
            if !reply.isOK { refused = reply.refusal }
            return true
        }
        return fault ?? refused
    }

    func fetchTrial(_ keys: [String], bytes: Int, _ patience: Patience) throws(RemoteFault) -> Int {
        var right = 0
        let fault = run(keys.map { Self.get(Self.trial($0), weight: bytes) }, patience) { _, reply in
            if reply.value?.byteCount == bytes { right += 1 }
            return true
        }
        if let fault { throw fault }
        return right
    }

    func rights(isWritable: Bool) -> [(name: String, use: String, refusal: RemoteFault?)] {
        let key = Self.trial("rights")
        let slot = SlotMap.slot(of: key)
        func words(_ text: String...) -> [[UInt8]] { text.map { Array($0.utf8) } }
        var tries: [(name: String, use: String, command: RedisCommand)] = [
            ("EXISTS", "a look-up", Self.exists(.zero)), ("GET", "a load", Self.get(key, weight: 1)),
            (
                "GETRANGE", "pfx pull",
                RedisCommand([Array("GETRANGE".utf8), key] + words("0", "1"), slot: slot, weight: 2)
            ),
            ("SCAN", "pfx pull", RedisCommand("SCAN", "0", "COUNT", "1", hasLongAnswer: true)),
        ]
        if isWritable {
            let set = [Array("SET".utf8), key] + words("1", "EX", "1")
            tries.append(("SET", "putting pages", RedisCommand(set, slot: slot, changes: true)))
        }
        return tries.map { name, use, command in
            var refusal: RemoteFault?
            let fault = run([command], .long) { _, reply in
                if case .error = reply { refusal = reply.refusal }
                return true
            }
            return (name, use, fault ?? refusal)
        }
    }

    private static func trial(_ key: String) -> [UInt8] { Array("pfx:1:c:\(key)".utf8) }

    /// Asks a server about itself; a user who may not ask learns less.
    func describe(_ found: inout RemoteCheck) {
        let map = map
        found.primaries = Set(map.shards.map(\.primary)).count
        found.replicas = Set(map.shards.flatMap(\.replicas)).count
        var text = ""
        _ = run([RedisCommand("INFO", hasLongAnswer: true)], .long) { _, reply in
            guard let value = reply.value else { return true }
            text = unsafe value.bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
            return true
        }
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            // What may go to a terminal, and nothing else.
            guard parts.count == 2 else { continue }
            fields[parts[0]] = Substring(parts[1].unicodeScalars.filter { ("!"..."~").contains($0) })
        }
        let name = fields["valkey_version"].map { "Valkey \($0)" } ?? fields["redis_version"].map { "Redis \($0)" }
        found.version = name.map { String($0.prefix(40)) }
        found.memoryLimit = fields["maxmemory"].flatMap { UInt64($0) }
        found.evictionPolicy = fields["maxmemory_policy"].map { String($0.prefix(40)) }
        if !map.isWhole { found.advice.append("Some slots of the cluster have no server: repair the cluster.") }
        switch found.refusal {
        case .full:
            found.advice.append("The server's memory is full: raise maxmemory, or set maxmemory-policy allkeys-lru.")
        default: break
        }
        if let limit = found.memoryLimit, limit == 0 {
            found.advice.append("The server's memory has no limit: set maxmemory.")
        }
        if let policy = found.evictionPolicy, policy == "noeviction" {
            found.advice.append("A full server takes no more: set maxmemory-policy allkeys-lru.")
        }
    }
}

/// Where a listing of a server's keys is. A server that lies could lead it round and round.
struct ScanCursor {
    /// Rounds at most: at a thousand places each, a server that has more is no cache.
    private static let roundLimit = 1 << 20

    /// What the server is asked to go on with; 0 at the beginning, and again at the end.
    private(set) var place: UInt64 = 0
    private var rounds = 0
    /// An earlier place, which must not come again; that of the last power of two of rounds.
    private var mark: UInt64 = 0

    /// Takes the place that the server has named; false when it has led in a circle, or on for too long.
    mutating func move(to next: UInt64) -> Bool {
        rounds += 1
        guard next == 0 || next != mark, rounds <= Self.roundLimit else { return false }
        if rounds & (rounds - 1) == 0 { mark = next }
        place = next
        return true
    }
}
