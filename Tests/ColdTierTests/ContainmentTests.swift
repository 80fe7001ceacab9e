// A store that cannot be used any more makes place for a new one, and is kept beside it.

import Foundation
import Glibc
import KVFormat
import LMDB
import Records
import Testing
import TestKit

@testable import ColdTier

@Suite("A store that is beyond use")
struct ContainmentTests {
    let folder: TemporaryFolder
    let model: Model
    private var data: String { folder.store + "/data.mdb" }

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
        try fill()
    }

    private func fill() throws {
        let tier = try ColdTier(folder.store)
        defer { tier.close() }
        try tier.open(space: model.descriptor)
        _ = try tier.put(model.pages(tokens(18)))
    }

    /// Fills a range of the data file with zeros.
    private func erase(_ range: Range<Int>) throws {
        let file = try #require(FileHandle(forUpdatingAtPath: data))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(range.lowerBound))
        try file.write(contentsOf: Data(count: range.count))
    }

    private func aside() -> [String] {
        TemporaryFolder.names(folder.store).filter { $0.hasPrefix(Containment.asidePrefix) }
    }

    @Test("is moved aside by the next engine, which begins a new one and says so once")
    func setAside() throws {
        try erase(0..<8192)
        let tier = try ColdTier(folder.store)
        let notice = try #require(tier.setAsideNotice)
        #expect(aside().map { folder.store + "/" + $0 } == [notice.folder])
        #expect(TemporaryFolder.names(notice.folder).contains("data.mdb"))
        #expect(try model.matched(tokens(18), in: tier) == 0)
        tier.close()
        try fill()
        let again = try ColdTier(folder.store)
        defer { again.close() }
        #expect(again.setAsideNotice == nil)
        #expect(try model.load(tokens(18), from: again) == 18)
    }

    @Test("has lost a table: it is not taken for an empty one", arguments: ["nodes", "pages", "edges"])
    func lostTable(name: String) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: data))
        let other = Data((name.dropLast() + "~").utf8)
        while let range = bytes.range(of: Data(name.utf8)) { bytes.replaceSubrange(range, with: other) }
        try bytes.write(to: URL(fileURLWithPath: data))
        #expect(throws: StoreError.damaged(path: folder.store, "the table \(name) is lost")) {
            _ = try ColdTier(existing: folder.store)
        }
        let tier = try ColdTier(folder.store)
        defer { tier.close() }
        #expect(tier.setAsideNotice != nil)
        try tier.open(space: model.descriptor)
        #expect(try tier.put(model.pages(tokens(18))).count(.stored) == 5)
    }

    @Test("is refused by a tool, which moves nothing")
    func tool() throws {
        try erase(0..<8192)
        #expect(throws: StoreError.self) { try ColdTier(existing: folder.store).close() }
        #expect(aside() == [])
    }

    @Test("is kept twice, and not a third time")
    func kept() throws {
        for _ in 0..<4 {
            usleep(2000)
            try erase(0..<8192)
            try ColdTier(folder.store).close()
        }
        #expect(aside().count == 2)
    }

    @Test("stays where it is while another process has it open")
    func others() throws {
        try erase(0..<8192)
        let other = Opener(folder: folder.store, role: .engine)
        #expect {
            try ColdTier(folder.store).close()
        } throws: { error in
            (error as? StoreError)?.description.contains("while other processes have it open") == true
        }
        #expect(aside() == [])
        other.leave()
        try ColdTier(folder.store).close()
        #expect(aside().count == 1)
    }

    @Test("because it ended two processes, and one that looked at all of it, is not opened again")
    func deaths() throws {
        for (deaths, count) in [(1, 0), (2, 0), (3, 1)] {
            try Data([UInt8(deaths)]).write(to: URL(fileURLWithPath: folder.store + "/opening"))
            let tier = try ColdTier(folder.store)
            #expect((tier.setAsideNotice != nil) == (count == 1))
            #expect(try model.matched(tokens(18), in: tier) == (count == 1 ? 0 : 18))
            tier.close()
            #expect(aside().count == count)
            #expect(!TemporaryFolder.names(folder.store).contains("opening"))
        }
    }

    @Test("because it is damaged and ended two processes, is not opened a third time")
    func deadly() throws {
        let pages = FilePages([UInt8](try Data(contentsOf: URL(fileURLWithPath: data)))).pages
        let leaf = try #require(pages[.leaf, default: []].last)
        try erase(leaf * 4096..<(leaf + 1) * 4096)
        try Data([2]).write(to: URL(fileURLWithPath: folder.store + "/opening"))
        let tier = try ColdTier(folder.store)
        defer { tier.close() }
        #expect(tier.setAsideNotice?.reason == "2 processes in a row ended while they opened it")
    }

    @Test("is moved aside without a list of openers too, as in a copy of the data file, if it has a space of ours")
    func copied() throws {
        let list = folder.store + "/openers"
        try FileManager.default.removeItem(atPath: list)
        try erase(0..<8192)
        let tier = try ColdTier(folder.store)
        #expect(tier.setAsideNotice != nil && aside().count == 1)
        tier.close()
        try FileManager.default.removeItem(atPath: list)
        try Data(repeating: 1, count: 1 << 20).write(to: URL(fileURLWithPath: data))
        #expect(throws: StoreError.self) { try ColdTier(folder.store).close() }
        #expect(aside().count == 1 && TemporaryFolder.size(data) == 1 << 20)
    }

    @Test("may be opened under any limit on files: an error at worst, and no signal", arguments: [0, 1, 5000])
    func fileLimit(bytes: UInt) async {
        await #expect(processExitsWith: .success) { [bytes = bytes as UInt] in
            let folder = try TemporaryFolder()
            try ColdTier(folder.store).close()
            var limit = rlimit()
            #expect(unsafe getrlimit(__rlimit_resource_t(1), &limit) == 0)  // 1 is RLIMIT_FSIZE
            limit.rlim_cur = bytes
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
            do throws(StoreError) { try ColdTier(folder.store).close() } catch { print(error) }
            // What measures coverage writes a file of its own at the end.
            limit.rlim_cur = limit.rlim_max
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
        }
    }

    @Test("because a writer has met damage in its trees, can be read until the next engine opens it")
    func writers() throws {
        // Every page of the trees: the tables can still be found, nothing else.
        let pages = FilePages([UInt8](try Data(contentsOf: URL(fileURLWithPath: data)))).pages
        let tier = try ColdTier(folder.store)
        for page in pages[.leaf, default: []].dropFirst() { try erase(page * 4096..<(page + 1) * 4096) }
        #expect(throws: StoreError.self) { try tier.put(model.pages(tokens(8, from: 900))) }
        #expect(try model.matched(tokens(18), in: tier) == 0)
        tier.close()
        #expect(TemporaryFolder.names(folder.store).contains("damaged"))
        let next = try ColdTier(folder.store)
        #expect(next.setAsideNotice?.reason == "its trees are damaged")
        next.close()
        #expect(aside().count == 1 && !TemporaryFolder.names(folder.store).contains("damaged"))
    }

    @Test("it is not, when one of its two meta pages is damaged: the other holds a whole commit", arguments: [0, 1])
    func oneMetaPage(page: Int) throws {
        try erase(page * 4096..<(page + 1) * 4096)
        let tier = try ColdTier(folder.store)
        #expect(tier.setAsideNotice == nil)
        // The older commit lacks at most the last transaction.
        let loaded = try model.load(tokens(18), from: tier)
        #expect(loaded == 18 || loaded == 0)
        #expect(try tier.verify().isSound)
        tier.close()
        try fill()
        let again = try ColdTier(folder.store)
        defer { again.close() }
        #expect(try model.load(tokens(18), from: again) == 18)
    }
}
