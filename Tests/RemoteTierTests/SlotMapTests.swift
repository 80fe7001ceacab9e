// Slots of keys, and the answer to CLUSTER SLOTS.

import Testing

@testable import RemoteTier

@Suite("The slots of a cluster")
struct SlotMapTests {
    /// The examples of the cluster's specification, and what redis-cli answers to CLUSTER KEYSLOT.
    @Test("keys have those that servers give them")
    func keys() {
        #expect(SlotMap.slot(of: Array("123456789".utf8)) == 0x31C3)
        #expect(SlotMap.slot(of: Array("foo".utf8)) == 12182)
        #expect(SlotMap.slot(of: Array("a{foo}b".utf8)) == 12182)
        #expect(SlotMap.slot(of: Array("{}foo".utf8)) == 9500)
        #expect(SlotMap.slot(of: Array("foo{".utf8)) == 7673)
    }

    /// Parses a reply of several ranges.
    private func map(_ text: String, asked: NodeAddress = NodeAddress(host: "seed", port: 1)) throws -> SlotMap? {
        var reader = RespReader(largest: 1 << 20)
        let bytes = Array(text.replacing(" ", with: "\r\n").utf8)
        unsafe reader.receive { room in
            unsafe room.copyBytes(from: bytes)
            return bytes.count
        }
        return try reader.next().flatMap { SlotMap($0, asked: asked) }
    }

    @Test("are read from the answer of a server: primaries, replicas, holes, and servers without a name")
    func answers() throws {
        let first = "*4 :0 :99 *3 $1 a :7000 $2 id *3 $1 b :7001 $2 id "
        let second = "*3 :200 :16383 *3 $-1 :7002 $2 id "
        let map = try #require(try map("*2 " + first + second))
        let a = SlotMap.Shard(
            primary: NodeAddress(host: "a", port: 7000), replicas: [NodeAddress(host: "b", port: 7001)])
        let seed = SlotMap.Shard(primary: NodeAddress(host: "seed", port: 7002), replicas: [])
        #expect(map[0] == a && map[99] == a)
        #expect(map[100] == nil && map[199] == nil && !map.isWhole)
        #expect(map[200] == seed && map[16_383] == seed)
        #expect(map.addresses.map(\.port) == [7000, 7001, 7002])
        #expect(try self.map("*1 *3 :0 :16383 *2 $1 ? :7002 ")?.shards == [seed])
    }

    @Test("that are no slots, or have no server, are none")
    func nonsense() throws {
        let node = "*2 $1 b :2 "
        for text in [
            "*1 *3 :0 :16384 " + node, "*1 *3 :5 :4 " + node, "*1 *3 :-1 :4 " + node, "*1 *2 :0 :4 ", "+OK ",
            "*1 *3 $1 a :4 " + node, "*1 :1 ",
        ] { #expect(try map(text) == nil, "\(text)") }
        for node in ["*2 $4 \u{1B}[3m :2 ", "*2 $1 b :0 ", "*2 $1 b :65536 ", ":1 "] {
            #expect(try map("*1 *3 :0 :4 " + node)?.shards.isEmpty == true, "\(node)")
        }
    }

    @Test("that move go to servers that the map does not know, but not to ever more of them")
    func moving() {
        let only = NodeAddress(host: "a", port: 1)
        var map = SlotMap(all: SlotMap.Shard(primary: only, replicas: []))
        for port in 2...1000 { map.move(UInt16(port), to: NodeAddress(host: "b", port: UInt16(port))) }
        #expect(map.shards.count == 1 + SlotMap.strangerLimit)
        #expect(map[2]?.primary.port == 2 && map[1000]?.primary == only)
        map.move(1000, to: NodeAddress(host: "b", port: 2))
        #expect(map[1000]?.primary.port == 2)
    }

    @Test("have other owners, as redirections say")
    func redirections() throws {
        func read(_ text: String) -> Redirection? { Redirection(.error(text), asked: NodeAddress(host: "me", port: 1)) }
        let moved = try #require(read("MOVED 3999 127.0.0.1:6381"))
        #expect(moved.slot == 3999 && !moved.isAsking)
        #expect(moved.address == NodeAddress(host: "127.0.0.1", port: 6381))
        let asking = try #require(read("ASK 1 :7000"))
        #expect(asking.address == NodeAddress(host: "me", port: 7000) && asking.isAsking)
        #expect(read("MOVED 1 ::1:7000")?.address.host == "::1")
        for text in [
            "MOVED", "MOVED 1", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED x a:1", "MOVED 1 a", "MOVED 1 a:0",
            "MOVED 1 a:65536", "MOVED 1 \u{1B}a:1", "ERR 1 a:1", "moved 1 a:1",
        ] { #expect(read(text) == nil, "\(text)") }
        #expect(Redirection(.text(Array("MOVED 1 a:1".utf8)), asked: NodeAddress(host: "me", port: 1)) == nil)
    }
}
