// Which pages of a space the servers have: for tools. No look-up ever lists anything.

package import KVFormat
internal import PageCodec
internal import Threads

extension RemoteTier {
    /// Keys that are asked for at once.
    private static var batch: Int { 256 }

    /// The names of the pages of a space, in the order of their positions, so that parents come first. Asks every
    /// primary for all of its keys, and reads the header of each page.
    ///
    /// - Throws: `.remoteFailure`.
    package func pages(of root: PrefixHash, _ layout: KVLayout, seal: SpaceSeal?) throws(StoreError) -> [PageName] {
        // The first command makes the client learn the map.
        _ = try held([root], usedAt: nil)
        var names: [PrefixHash: PageName] = [:]
        for primary in Set(client.map.shards.map(\.primary)) {
            var cursor = ScanCursor()
            repeat {
                let (next, hashes) = try scan(primary, cursor.place)
                guard cursor.move(to: next) else { throw failure(.nonsense) }
                for start in stride(from: 0, to: hashes.count, by: Self.batch) {
                    let part = Array(hashes[start..<min(start + Self.batch, hashes.count)])
                    for name in try headers(part, root, layout, seal) { names[name.hash] = name }
                }
            } while cursor.place != 0
        }
        return names.values.sorted { ($0.firstToken, $0.hash) < ($1.firstToken, $1.hash) }
    }

    private func scan(_ server: NodeAddress, _ cursor: UInt64) throws(StoreError) -> (UInt64, [PrefixHash]) {
        var next: UInt64?
        var hashes: [PrefixHash] = []
        var refused: RemoteFault?
        let command = RedisCommand("SCAN", "\(cursor)", "MATCH", "pfx:1:p:*", "COUNT", "1000", hasLongAnswer: true)
        let fault = client.run([command], on: server, before: .after(Self.patience), stall: Self.stall) { _, reply in
            guard case .list(let parts) = reply, parts.count == 2, case .list(let keys) = parts[1] else {
                refused = reply.refusal
                return true
            }
            next = parts[0].string.flatMap { UInt64($0) }
            hashes = keys.compactMap { key in key.string.flatMap { PrefixHash(hex: String($0.dropFirst(8))) } }
            return true
        }
        if let fault = fault ?? refused { throw failure(fault) }
        guard let next else { throw failure(.nonsense) }
        return (next, hashes)
    }

    /// The names in the headers of these pages; those of other spaces, and what cannot be trusted, are left out.
    private func headers(
        _ hashes: [PrefixHash], _ root: PrefixHash, _ layout: KVLayout, _ seal: SpaceSeal?
    ) throws(StoreError) -> [PageName] {
        let size = min(WirePage.largestHeader, WirePage.headerBytes(tokens: layout.pageSize, isSealed: seal != nil))
        let commands = hashes.map { hash in
            let key = Self.key(ofPage: hash)
            let range = ["0", "\(size - 1)"].map { Array($0.utf8) }
            return RedisCommand([Array("GETRANGE".utf8), key] + range, slot: SlotMap.slot(of: key), weight: size)
        }
        var names: [PageName] = []
        let fault = client.run(commands, before: .after(Self.patience), stall: Self.stall) { index, reply in
            let value: EncodedRecord
            switch reply {
            case .text(let bytes): value = EncodedRecord(copying: unsafe bytes.span.bytes)
            case .bulk(let record): value = record
            default: return true
            }
            if let name = Self.name(in: value, hashes[index], root, seal) { names.append(name) }
            return true
        }
        if let fault { throw failure(fault) }
        return names
    }

    private static func name(
        in value: EncodedRecord, _ hash: PrefixHash, _ root: PrefixHash, _ seal: SpaceSeal?
    ) -> PageName? {
        do throws(RecordDamage) {
            return try WirePage(value.bytes, key: hash, root: root, seal: seal).name
        } catch {
            return nil
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
