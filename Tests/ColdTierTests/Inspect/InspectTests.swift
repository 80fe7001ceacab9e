// What a store tells about itself.

import KVFormat
import Records
import Testing
import TestKit

@testable import ColdTier

@Suite("A store looked at from outside")
struct InspectTests {
    let folder: TemporaryFolder
    let model: Model
    let tier: ColdTier

    /// Two sequences that part after 8 tokens, 4 tokens a page; the second ends in a tail.
    static let first = tokens(16)
    static let second = tokens(8) + tokens(6, from: 500)

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
        tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        _ = try tier.put(model.pages(Self.first, now: 1000))
        _ = try tier.put(model.pages(Self.second, from: 2, now: 2000))
    }

    @Test("says how full it is, by kind")
    func info() throws {
        try tier.pin(path: model.path(Self.first))
        let info = try tier.info()
        #expect(info.path == folder.store)
        #expect(info.formatVersion == 2)
        #expect(info.pages == 6)
        #expect(info.tails == 1)
        #expect(info.tokens == 22)
        #expect(info.spaces == 1)
        #expect(info.pinnedPages == 4)
        #expect(info.quotaBytes == .mebibytes(256))
        #expect(info.slotBytes == ByteCount(6 * 4096))
        #expect(info.usedBytes.value == info.slotBytes.value + info.indexBytes.value)
        #expect(info.rawBytes == ByteCount(UInt64(model.layout.pageBytes(tokens: 22))))
        #expect(info.encodedBytes > .zero && info.encodedBytes < info.slotBytes)
        #expect(info.fileBytes > info.freeBytes)
        #expect(info.readers == 0)
        #expect(info.oldestReaderLag == nil)
        #expect(info.lmdbVersion.hasPrefix("0.9."))
        #expect(info.zstdVersion.hasPrefix("1."))
        #expect(info.createdAt.milliseconds > 1_700_000_000_000)
    }

    @Test("counts each space by itself")
    func spaces() throws {
        let other = try Model("other", pageSize: 8)
        try tier.open(space: other.descriptor)
        _ = try tier.put(other.pages(tokens(8), now: 9000))
        let spaces = try tier.spaces()
        #expect(Set(spaces.map(\.root)) == [model.root, other.root])
        let mine = try #require(spaces.first { $0.root == model.root })
        #expect(mine.pages == 6)
        #expect(mine.tails == 1)
        #expect(mine.tokens == 22)
        #expect(mine.slotBytes == ByteCount(6 * 4096))
        #expect(mine.descriptor == model.descriptor)
        let theirs = try #require(spaces.first { $0.root == other.root })
        #expect(theirs.pages == 1)
        #expect(theirs.descriptor.layout.pageSize == 8)
    }

    @Test("lists pages in each order, of one space or all, up to a limit")
    func lists() throws {
        let path = model.path(Self.first)
        tier.touch(Array(path.prefix(3)), now: 5000)
        tier.touch(Array(path.prefix(1)), now: 4000)
        try tier.flushTouches()
        let recent = try tier.pages(in: nil, order: .recent, limit: 100)
        #expect(recent.map(\.lastUse.milliseconds) == [5000, 5000, 5000, 2000, 2000, 1000])
        #expect(try tier.pages(in: model.root, order: .hits, limit: 1).map(\.hash) == [path[0]])
        #expect(try tier.pages(in: nil, order: .position, limit: 100).map(\.firstToken) == [0, 4, 8, 8, 12, 12])
        let bySize = try tier.pages(in: nil, order: .size, limit: 100)
        #expect(bySize.last?.isTail == true)
        #expect(bySize.count == 6)
        #expect(try tier.pages(in: nil, order: .recent, limit: 0).isEmpty)
        #expect(throws: StoreError.noSuchSpace(path[0].short)) {
            try tier.pages(in: path[0], order: .recent, limit: 1)
        }
    }

    @Test("keeps the best of more pages than it keeps in memory")
    func longList() throws {
        let wide = try Model("wide", pageSize: 1)
        try tier.open(space: wide.descriptor)
        let many = tokens(1500)
        for start in stride(from: 0, to: many.count, by: 500) {
            let pages = wide.pages(many)[start..<start + 500]
            #expect(try tier.put(Array(pages)).count(.stored) == 500)
        }
        let list = try tier.pages(in: wide.root, order: .position, limit: 20)
        #expect(list.map(\.firstToken) == Array(0..<20))
        #expect(try tier.pages(in: wide.root, order: .recent, limit: 5000).count == 1500)
        #expect(try tier.info().tokens == 1522)
    }

    @Test("says of a page where it stands and what keeps it")
    func page() throws {
        let path = model.path(Self.first)
        try tier.pin(path: [path[0], path[1]])
        try tier.setExpiry(of: path[1], at: Timestamp(milliseconds: 77_000))
        let state: [UInt8] = [1, 2, 3]
        try unsafe tier.putSideState("window", of: path[1], state.span.bytes)
        tier.touch([path[1]], now: 6000, as: .branch)
        try tier.flushTouches()
        let page = try tier.page(path[1])
        #expect(page.parent == path[0])
        #expect(page.root == model.root)
        #expect(page.firstToken == 4)
        #expect(page.tokenCount == 4)
        #expect(!page.isTail && !page.isBlock && !page.isFirst)
        #expect(page.hits == 1)
        #expect(page.lastUse == Timestamp(milliseconds: 6000))
        #expect(page.createdAt == Timestamp(milliseconds: 1000))
        #expect(page.pins == 1)
        #expect(page.expiry == Timestamp(milliseconds: 77_000))
        #expect(page.childCount == 2)
        #expect(page.sideStates == ["window"])
        #expect(page.branches == 1)
        #expect(try tier.page(path[0]).isFirst)
        #expect(throws: StoreError.noSuchPage(model.root.short)) { try tier.page(model.root) }
    }

    @Test("gives the children of a page and of a space root in the order of their tokens")
    func children() throws {
        let path = model.path(Self.first)
        #expect(try tier.children(of: model.root).map(\.hash) == [path[0]])
        #expect(try tier.children(of: path[1]).map(\.hash) == [path[2], model.path(Self.second)[2]])
        #expect(try tier.children(of: path[1], limit: 1).map(\.hash) == [path[2]])
        #expect(try tier.children(of: path[3]).isEmpty)
    }

    @Test("gives token ids and frames only when asked for them")
    func contents() throws {
        let path = model.path(Self.second)
        #expect(try tier.tokens(of: path[3]) == [504, 505])
        let frames = try tier.frames(of: path[0])
        #expect(frames.map(\.layers) == [0..<2])
        #expect(frames.allSatisfy { $0.isSound && $0.encodedBytes <= $0.rawBytes })
        #expect(frames.reduce(0) { $0 + Int($1.rawBytes.value) } == model.layout.bytesPerPage)
        #expect(throws: StoreError.noSuchPage(model.root.short)) { try tier.tokens(of: model.root) }
        #expect(throws: StoreError.noSuchPage(model.root.short)) { try tier.frames(of: model.root) }
    }

    @Test("resolves the first digits of a hash, of either case")
    func resolve() throws {
        let hashes = Set(model.path(Self.first) + model.path(Self.second))
        for hash in hashes {
            #expect(try tier.resolve(hash.description) == .unique(hash))
            #expect(try tier.resolve(hash.description.uppercased()) == .unique(hash))
            for length in 1...6 {
                let digits = String(hash.description.prefix(length))
                let matching = hashes.filter { $0.description.hasPrefix(digits) }.sorted()
                let expected: HashResolution = matching.count == 1 ? .unique(hash) : .ambiguous(matching)
                #expect(try tier.resolve(digits) == expected)
            }
        }
        for nothing in ["", "xyz", "00000000000", String(repeating: "a", count: 65)] {
            #expect(try tier.resolve(nothing) == .none)
        }
        #expect(try tier.resolveSpace(model.root.short) == .unique(model.root))
    }

    @Test("trims to a size, the least used leaves first, and spares what is pinned")
    func trim() throws {
        let path = model.path(Self.first)
        try tier.pin(path: path)
        let before = try tier.info()
        let report = try tier.trim(to: before.usedBytes)
        #expect(report == TrimReport(pages: 0, freedBytes: .zero, usedBytes: before.usedBytes, isComplete: true))
        let all = try tier.trim(to: .zero)
        #expect(all.pages == 2)
        #expect(!all.isComplete)
        #expect(all.freedBytes.value + all.usedBytes.value == before.usedBytes.value)
        for hash in path { #expect(try tier.contains(hash)) }
        #expect(try tier.info().quotaBytes == before.quotaBytes)
        try tier.unpin(path: path)
        let rest = try tier.trim(to: ByteCount(all.usedBytes.value - 1))
        #expect(rest.pages == 1)
        #expect(rest.isComplete)
        #expect(try !tier.contains(path[3]))
        #expect(try tier.trim(to: .zero).isComplete)
        #expect(try tier.info().pages == 0)
    }

    @Test("trims to nothing, whatever the order in which parents and children were used")
    func trimAll() throws {
        for start in 0..<150 {
            let sequence = tokens(8) + tokens(6, from: TokenID(1000 + 10 * start))
            // Of every two sequences the one whose parents are older than its leaves, and the other way round.
            let pages = model.pages(sequence, now: Int64(start % 2 == 0 ? start : 5000 - start))
            _ = try tier.put(Array(pages.dropLast()))
            _ = try tier.put(model.pages(sequence, from: 3, now: Int64(start % 2 == 0 ? 9000 - start : 500)))
        }
        let before = try tier.info()
        #expect(before.pages == 306)
        let report = try tier.trim(to: .zero)
        #expect(report == TrimReport(pages: 306, freedBytes: before.usedBytes, usedBytes: .zero, isComplete: true))
        #expect(try tier.verify().findings.isEmpty)
    }

    @Test("is opened as it is: its quota stays, and nothing is made")
    func existing() throws {
        tier.close()
        let again = try ColdTier(existing: folder.store)
        #expect(try again.info().quotaBytes == .mebibytes(256))
        #expect(again.quota == .mebibytes(256))
        again.close()
        #expect(throws: StoreError.notAFolder(path: folder.path + "/none")) {
            try ColdTier(existing: folder.path + "/none")
        }
        #expect(throws: StoreError.notAStore(path: folder.path)) { try ColdTier(existing: folder.path) }
        #expect(TemporaryFolder.names(folder.path) == ["store"])
    }
}
