import ColdTier
import KVFormat
import PageCodec
import Records
import StoreTestKit
import TestKit
import Testing
import Threads

@Suite("Records that one tier lends and another takes")
struct TransferTests {
    let folder: TemporaryFolder
    let spaces: [StoredPages]

    init() throws {
        folder = try TemporaryFolder()
        // A tree with tails and shared beginnings, three element widths, pages of one frame and of several.
        let shared = (TokenID(0)..<40).map { 7 * $0 }
        let sequences = (1...6).map { (branch: TokenID) -> [TokenID] in
            let start = 1000 * branch
            return shared + Array(start..<start + 9 * branch)
        }
        let small = try KVLayout(layers: 3, kvHeads: 2, headDimension: 8, element: .bf16, pageSize: 16)
        let wide = try KVLayout(layers: 6, kvHeads: 4, headDimension: 64, element: .fp32, pageSize: 64)
        let narrow = try KVLayout(layers: 2, kvHeads: 1, headDimension: 32, element: .int8, pageSize: 8)
        spaces = [
            try StoredPages("small", layout: small, sequences: sequences, codec: .zstd),
            try StoredPages("wide", layout: wide, sequences: sequences, codec: .kbit),
            try StoredPages("narrow", layout: narrow, sequences: sequences, codec: .raw),
        ]
    }

    private func cold(_ name: String) throws -> ColdTier {
        let tier = try ColdTier(path: folder.path(name), options: ColdOptions(quota: .mebibytes(256)))
        for space in spaces { try tier.open(space: space.descriptor) }
        return tier
    }

    /// Hands all pages of all spaces from one tier to another.
    private func move(from source: any RecordTier, to target: any RecordTier) throws -> [TakeOutcome] {
        var outcomes: [TakeOutcome] = []
        for space in spaces {
            try source.lend(space.requests, of: space.layout) { records in
                let pages = zip(space.records, records).compactMap { page, record in
                    record.map { PageRecord(page.name, $0, lastUse: page.lastUse) }
                }
                outcomes += (try? target.take(pages)) ?? []
                return [:]
            }
        }
        return outcomes
    }

    private func expectAll(in tier: any RecordTier) throws {
        let team = Team(helpers: 3)
        defer { team.close() }
        let loader = RecordLoader(team)
        for space in spaces {
            for sequence in space.sequences {
                #expect(try space.load(sequence, from: tier, loader) == sequence.count)
            }
        }
    }

    @Test("are the whole store, byte for byte: from disk to memory, loaded there, and back to another disk")
    func wholeStore() throws {
        let first = try cold("first")
        for space in spaces { #expect(try first.take(space.records).allSatisfy { $0 == .stored }) }
        let count = spaces.reduce(0) { $0 + $1.records.count }
        #expect(try first.info().pages == count)
        let layouts = Dictionary(uniqueKeysWithValues: spaces.map { ($0.root, $0.layout) })
        let memory = MemoryTier(layouts)
        #expect(try move(from: first, to: memory) == Array(repeating: .stored, count: count))
        #expect(try move(from: first, to: memory) == Array(repeating: .alreadyThere, count: count))
        try expectAll(in: first)
        // What is loaded from now on cannot come from the first store any more.
        first.close()
        try expectAll(in: memory)
        #expect(memory.damage.isEmpty)
        let second = try cold("second")
        #expect(try move(from: memory, to: second) == Array(repeating: .stored, count: count))
        let hashes = spaces.flatMap { $0.records.map(\.name.hash) }
        #expect(try second.held(hashes, usedAt: nil) == Set(hashes))
        #expect(try memory.held(hashes, usedAt: nil) == Set(hashes))
        try expectAll(in: second)
        let report = try second.verify()
        #expect(report.pages == count && report.findings.isEmpty)
        second.close()
    }

    @Test("are refused where their parent or their space is not there, or where they are another page's")
    func refused() throws {
        let space = spaces[0]
        let tiers: [any RecordTier] = [try cold("store"), MemoryTier([space.root: space.layout])]
        let (first, second) = (space.records[0], space.records[1])
        for tier in tiers {
            #expect(try tier.take([second]) == [.orphan])
            #expect(try tier.take([PageRecord(first.name, second.bytes, lastUse: 0)]) == [.invalid])
            #expect(try tier.take([first, second, first]) == [.stored, .stored, .alreadyThere])
            #expect(try tier.held(space.requests.map(\.hash), usedAt: 5) == [first.name.hash, second.name.hash])
        }
        #expect(try MemoryTier([:]).take([first]) == [.orphan])
    }

    @Test("end a load where one is missing, and are gone once a borrower found them damaged")
    func damaged() throws {
        let space = spaces[0]
        let tier = space.tier()
        let sequence = space.sequences[0]
        let team = Team(helpers: 0)
        let loader = RecordLoader(team)
        let request = space.requests[2]
        try tier.lend([request], of: space.layout) { records in
            #expect(records.count == 1 && records[0] != nil)
            return [0: .badChecksum(frame: 0)]
        }
        #expect(tier.damage == [request.hash: .badChecksum(frame: 0)])
        #expect(try space.load(sequence, from: tier, loader) == 32)
        // A page of another length than was asked for is none.
        try tier.lend([RecordRequest(hash: space.requests[0].hash, tokenCount: 3)], of: space.layout) { records in
            #expect(records.count == 1 && records[0] == nil)
            return [:]
        }
        team.close()
    }
}
