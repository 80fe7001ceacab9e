// What a server says: replies, the values under the keys of pages, and the indexes of packs.

import KVFormat
import PageCodec
import Records

@testable import RemoteTier

extension FuzzTarget {
    /// A byte for what follows: an odd one is a size, and then a stream of replies that comes in pieces of it; 2 is the
    /// index of a pack; any other even one is the value of a page's key.
    static let remote = FuzzTarget(
        name: "remote", subject: "replies of a server, values under the keys of pages, and indexes of packs",
        longest: 1 << 14,
        seeds: { seedsOfRemotes() },
        run: { input in
            let kind = input.byte()
            if kind & 1 == 1 { return read(replies: input.rest(), pieces: 1 + kind / 2, input) }
            if kind == 2 { return read(index: input.rest(), input) }
            let (name, layout) = known
            let value = input.rest()
            let record = EncodedRecord(copying: unsafe value.span.bytes)
            guard
                let page = try? WirePage.record(
                    in: record, key: name.hash, root: name.root, layout: layout, tokens: nil, seal: nil)
            else { return }
            // Only what makes the hash comes out.
            input.require(page.name == name, "another page under a page's key")
            input.plant(page.bytes.encodedBytes > 200)
        })

    private static let known: (PageName, KVLayout) = {
        guard let layout = try? KVLayout(layers: 1, kvHeads: 1, headDimension: 8, element: .bf16, pageSize: 4) else {
            preconditionFailure("a valid layout")
        }
        let name = PageName(root: .zero, parent: .zero, firstToken: 0, tokens: [1, 2, 3, 4])
        return (name, layout)
    }()

    private static func read(index bytes: [UInt8], _ input: FuzzInput) {
        guard let index = PackIndex(unsafe bytes.span.bytes) else { return }
        input.require(bytes.starts(with: index.encoded), "an index that is not what was read")
    }

    private static func read(replies: [UInt8], pieces: Int, _ input: FuzzInput) {
        var reader = RespReader(largest: 1 << 16)
        var map = SlotMap(all: SlotMap.Shard(primary: seed, replicas: []))
        var position = 0
        while position < replies.count {
            let end = min(position + pieces, replies.count)
            unsafe reader.receive { room in
                let count = min(room.count, end - position)
                unsafe room.copyBytes(from: replies[position..<position + count])
                position += count
                return count
            }
            do throws(RespFault) {
                while let reply = try reader.next() {
                    if case .list(let items) = reply { input.plant(items.count == 3) }
                    learn(reply, &map, input)
                }
            } catch { return }
        }
    }

    private static let seed = NodeAddress(host: "seed", port: 6379)

    /// Takes a reply for a redirection, and for the slots of a cluster.
    private static func learn(_ reply: RespValue, _ map: inout SlotMap, _ input: FuzzInput) {
        if let next = Redirection(reply, asked: seed) {
            let before = map.shards.count
            map.move(next.slot, to: next.address)
            input.require(map.shards.count <= before + 1, "a redirection names one server")
            input.require(next.address.host.utf8.allSatisfy { (33...126).contains($0) }, "a host for a terminal")
        }
        guard let found = SlotMap(reply, asked: seed) else { return }
        map = found
        for slot in stride(from: 0, to: SlotMap.slots, by: 97) { _ = map[UInt16(slot)] }
    }

    private static func seedsOfRemotes() -> [[UInt8]] {
        let (name, layout) = known
        let bytes = [UInt8](repeating: 5, count: layout.bytesPerPage)
        let record = unsafe bytes.withUnsafeBytes { bytes -> [UInt8] in
            guard let base = bytes.baseAddress else { return [] }
            let record = unsafe RecordEncoder().encode(
                page: PageSource(base, capacity: 4), tokens: 4, layout: layout, key: name.hash, codec: .raw)
            return unsafe record.bytes.withUnsafeBytes { unsafe Array($0) }
        }
        return [
            [0] + WirePage.header(name, recordBytes: record.count) + record,
            [2] + PackIndex(root: .zero, entries: [.init(hash: name.hash, bytes: 192)]).encoded,
            [1] + Array("+OK\r\n$3\r\nabc\r\n:1\r\n$-1\r\n-MOVED 1 a:1\r\n".utf8),
            [99] + Array("*1\r\n*3\r\n:0\r\n:99\r\n*2\r\n$1\r\na\r\n:7000\r\n-ASK 5 b:1\r\n-MOVED 5 :2\r\n".utf8),
            [9] + Array("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n%1\r\n+a\r\n#t\r\n".utf8),
        ]
    }
}
