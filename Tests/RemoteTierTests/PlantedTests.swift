// Damaged and misplaced values planted in a real server: none may be accepted.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

@Suite("Values that somebody has planted")
struct PlantedTests {
    /// How many; tools/remote/test plants more.
    static let count = ProcessInfo.processInfo.environment["PFX_PLANTED"].flatMap { Int($0) } ?? 2000
    /// The broken twin plants sound values: they are accepted, and the test must fail.
    static let lies = ProcessInfo.processInfo.environment["PFX_LIES"] == "1"

    @Test("under the keys of pages are never accepted")
    func planted() throws {
        let server = try RedisServer()
        let tier = try RemoteTier(RemoteOptions(url: "redis://127.0.0.1:\(server.port)"))
        defer { tier.close() }
        let pages = try StoredPages("mine", layout: .small, sequences: [(0..<800).map { TokenID($0) }])
        let others = try StoredPages("another's", layout: .small, sequences: [(0..<800).map { TokenID($0) }])
        let seed = TestSeed.fresh("planted values")
        var generator = SplitMix64(seed: seed)
        var accepted = 0
        var planted = 0
        while planted < Self.count {
            let values = pages.records.indices.map { place in
                Self.lies
                    ? value(pages.records[place]) : bad(place, pages.records, others.records, &generator)
            }
            try plant(values, under: pages.records.map(\.name.hash), in: tier)
            planted += values.count
            let fault = tier.fetch(
                pages.requests, root: pages.root, of: pages.layout, before: .after(.seconds(60)), stall: .seconds(10)
            ) { place, page in
                guard let page else { return true }
                // The header is sound; what the frames hold is checked where they are decoded.
                if (try? page.bytes.verifyPayload()) != nil { accepted += 1 }
                return true
            }
            #expect(fault == nil)
        }
        print("planted \(planted) values, accepted \(accepted), PFX_SEED=\(seed)")
        #expect(accepted == 0 && planted >= Self.count)
    }

    private func plant(_ values: [[UInt8]], under hashes: [PrefixHash], in tier: RemoteTier) throws {
        let commands = zip(values, hashes).map { value, hash in
            let key = RedisClient.key(ofPage: hash)
            return RedisCommand([Array("SET".utf8), key, value], slot: SlotMap.slot(of: key), changes: true)
        }
        var done = 0
        let client = try #require(tier.client as? RedisClient)
        let fault = client.run(commands, before: .after(.seconds(60)), stall: .seconds(10)) { _, reply in
            if reply.isOK { done += 1 }
            return true
        }
        #expect(fault == nil && done == commands.count)
    }

    private func value(_ page: PageRecord) -> [UInt8] { head(page.name, page) + body(page) }

    private func head(_ name: PageName, _ page: PageRecord) -> [UInt8] {
        WirePage.header(name, recordBytes: page.bytes.encodedBytes)
    }

    private func body(_ page: PageRecord) -> [UInt8] { unsafe page.bytes.bytes.withUnsafeBytes { unsafe Array($0) } }

    /// A value that is not that of page `place`.
    private func bad(
        _ place: Int, _ pages: [PageRecord], _ others: [PageRecord], _ generator: inout SplitMix64
    ) -> [UInt8] {
        let page = pages[place]
        let sound = value(page)
        var bytes = sound
        let other = pages[(place + Int.random(in: 1..<pages.count, using: &generator)) % pages.count]
        switch Int.random(in: 0..<10, using: &generator) {
        case 0:
            let bit = UInt8(generator.next() & 7)
            bytes[Int.random(in: bytes.indices, using: &generator)] ^= 1 << bit
        case 1: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
        case 2: bytes += (0..<Int.random(in: 1...64, using: &generator)).map { _ in UInt8(generator.next() & 255) }
        case 3: bytes = value(other)
        case 4: bytes = head(page.name, other) + body(other)
        case 5: bytes = value(others[place])
        case 6: bytes = head(page.name, others[place]) + body(others[place])
        case 7:
            // Token ids of another page under right sums.
            let name = PageName(
                root: page.name.root, parent: page.name.parent, hash: page.name.hash, firstToken: page.name.firstToken,
                tokens: other.name.tokens)
            bytes = head(name, page) + body(page)
        case 8:
            let start = Int.random(in: bytes.indices, using: &generator)
            let end = min(bytes.count, start + Int.random(in: 1...200, using: &generator))
            for index in start..<end { bytes[index] = 0 }
        default: bytes = (0..<bytes.count).map { _ in UInt8(generator.next() & 255) }
        }
        // Zeros over zeros, and tails without a difference, would be the value itself.
        if bytes == sound { bytes[bytes.count - 1] ^= 1 }
        return bytes
    }
}
