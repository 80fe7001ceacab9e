// Which pages the servers have: for tools.

internal import KVFormat
internal import PageCodec
internal import Threads

extension RedisClient {
    /// Keys that are asked for at once.
    private static let batch = 256

    /// Lists the pages of all spaces: asks every primary for all of its keys.
    func list(_ root: PrefixHash, bytes: Int, _ onValue: (ListedValue) -> Void) throws(RemoteFault) {
        // The first command makes the client learn the map.
        _ = try held([[root]], .long)
        for (primary, replicas) in Dictionary(map.shards.map { ($0.primary, $0.replicas) }, uniquingKeysWith: { $1 }) {
            do throws(RemoteFault) { try list(on: primary, bytes, onValue) } catch {
                // Of a primary that is down a replica has the keys.
                guard !error.isRefusal else { throw error }
                try list(onOneOf: replicas, bytes, onValue, instead: error)
            }
        }
    }

    private func list(
        onOneOf replicas: [NodeAddress], _ bytes: Int, _ onValue: (ListedValue) -> Void, instead fault: RemoteFault
    ) throws(RemoteFault) {
        for replica in replicas {
            do throws(RemoteFault) { return try list(on: replica, bytes, onValue) } catch { continue }
        }
        throw fault
    }

    private func list(
        on server: NodeAddress, _ bytes: Int, _ onValue: (ListedValue) -> Void
    ) throws(RemoteFault) {
        var cursor = ScanCursor()
        repeat {
            let (next, hashes) = try scan(server, cursor.place)
            guard cursor.move(to: next) else { throw .nonsense }
            for start in stride(from: 0, to: hashes.count, by: Self.batch) {
                try beginnings(Array(hashes[start..<min(start + Self.batch, hashes.count)]), bytes, onValue)
            }
        } while cursor.place != 0
    }

    private func scan(_ server: NodeAddress, _ cursor: UInt64) throws(RemoteFault) -> (UInt64, [PrefixHash]) {
        var next: UInt64?
        var hashes: [PrefixHash] = []
        let command = RedisCommand("SCAN", "\(cursor)", "MATCH", "pfx:1:p:*", "COUNT", "1000", hasLongAnswer: true)
        let fault = demand([command], on: server, .long) { _, reply in
            guard case .list(let parts) = reply, parts.count == 2, case .list(let keys) = parts[1] else { return true }
            next = parts[0].string.flatMap { UInt64($0) }
            hashes = keys.compactMap { key in key.string.flatMap { PrefixHash(hex: String($0.dropFirst(8))) } }
            return true
        }
        if let fault { throw fault }
        guard let next else { throw .nonsense }
        return (next, hashes)
    }

    private func beginnings(
        _ hashes: [PrefixHash], _ bytes: Int, _ onValue: (ListedValue) -> Void
    ) throws(RemoteFault) {
        let commands = hashes.map { hash in
            let key = Self.key(ofPage: hash)
            let range = ["0", "\(bytes - 1)"].map { Array($0.utf8) }
            return RedisCommand([Array("GETRANGE".utf8), key] + range, slot: SlotMap.slot(of: key), weight: bytes)
        }
        var empty: [PrefixHash] = []
        let fault = demand(commands, .long) { index, reply in
            guard let value = reply.value else {
                // A list or a hash under the key, whoever has put it there.
                onValue(.unreadable(hashes[index]))
                return true
            }
            if value.byteCount > 0 { onValue(.page(hashes[index], value)) } else { empty.append(hashes[index]) }
            return true
        }
        if let fault { throw fault }
        // To GETRANGE a key that was evicted meanwhile is one with an empty value.
        for hash in try held([empty], .long) { onValue(.unreadable(hash)) }
    }

    /// Every key is named.
    func unlisted(_ hashes: [PrefixHash], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash> { [] }

    func mendLists(_ patience: Patience) throws(RemoteFault) {}
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
