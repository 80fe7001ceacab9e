// Names that people give to prefixes.

import KVFormat
import LMDB
import Records
import TestKit
import Testing

@testable import ColdTier

@Suite("A name of a prefix")
struct NameTests {
    let folder: TemporaryFolder
    let tier: ColdTier
    let model: Model
    private let first: PrefixHash
    private let last: PrefixHash

    init() throws {
        folder = try TemporaryFolder()
        tier = try ColdTier(folder.store, quota: .mebibytes(4))
        model = try Model()
        try tier.open(space: model.descriptor)
        _ = try tier.put(model.pages(tokens(8)))
        let path = model.path(tokens(8))
        (first, last) = (path[0], path[1])
    }

    @Test("is found, listed in the order of its bytes, moved and taken away, and survives its process")
    func life() throws {
        #expect(try tier.names().isEmpty && tier.prefix(named: "system") == nil)
        try tier.setName("syst\u{e8}me", of: first)
        try tier.setName("Zoo", of: last)
        try tier.setName("Zoo 2", of: last)
        tier.close()
        let again = try ColdTier(folder.store)
        let found = try #require(try again.prefix(named: "Zoo"))
        #expect(found.hash == last && found.root == model.root && found.isStored && found.createdAt.milliseconds > 0)
        #expect(try again.names().map(\.name) == ["Zoo", "Zoo 2", "syst\u{e8}me"])
        try again.setName("Zoo", of: first)
        #expect(try again.prefix(named: "Zoo")?.hash == first)
        try again.removeName("Zoo")
        #expect(throws: StoreError.noSuchName("Zoo")) { try again.removeName("Zoo") }
        #expect(try again.names().map(\.hash) == [last, first])
        #expect(try again.verify().findings.isEmpty)
        again.close()
    }

    @Test("has 1 to 64 bytes, all of them of characters that can be seen")
    func bounds() throws {
        let long = [String(repeating: "n", count: 65), String(repeating: "\u{e8}", count: 33)]
        // A mark that turns the writing direction round, a soft hyphen, separators of lines and of paragraphs, a code
        // point that is no character, and one for private use.
        let hidden = ["a\u{202e}b", "a\u{ad}b", "a\u{2028}b", "a\u{2029}b", "a\u{378}b", "a\u{e000}b"]
        for name in long + ["", "a\nb", "\u{7f}", "\u{85}"] + hidden {
            let calls: [() throws -> Void] = [
                { try tier.setName(name, of: first) }, { try tier.removeName(name) },
                { _ = try tier.prefix(named: name) },
            ]
            for call in calls {
                #expect {
                    try call()
                } throws: { error in
                    if case .invalidName = error as? StoreError { true } else { false }
                }
            }
        }
        let longest = String(repeating: "n", count: 64)
        try tier.setName(longest, of: first)
        #expect(try tier.prefix(named: longest)?.hash == first)
    }

    @Test("is one of 4,096 at most; one that is there can be moved all the same")
    func full() throws {
        let record = NameRecord(hash: first, root: model.root, createdAt: 1)
        try tier.writing { (transaction, _) throws(LMDBError) in
            for number in 0..<4096 {
                let name = Array("name \(number)".utf8)
                try transaction.write(tier.tables.names, name, record.encoded(name: name))
            }
        }
        #expect(throws: StoreError.tooManyNames(limit: 4096)) { try tier.setName("one more", of: last) }
        try tier.setName("name 7", of: last)
        #expect(try tier.prefix(named: "name 7")?.hash == last)
        #expect(try tier.names().count == 4096)
        try tier.removeName("name 8")
        try tier.setName("one more", of: last)
    }

    @Test("needs a page that is stored, and keeps nothing: eviction takes what is not pinned")
    func keepsNothing() throws {
        #expect(throws: StoreError.noSuchPage(model.root.short)) { try tier.setName("root", of: model.root) }
        let pinned = tokens(8, from: 500)
        _ = try tier.put(model.pages(pinned))
        try tier.setName("kept", of: model.path(pinned)[1])
        try tier.pin(path: model.path(pinned))
        try tier.setName("gone", of: last)
        _ = try tier.trim(to: .zero)
        let names = try tier.names()
        #expect(names.map(\.name) == ["gone", "kept"] && names.map(\.isStored) == [false, true])
        #expect(try tier.verify().findings.isEmpty)
    }

    @Test("comes and goes with a pin in one step: if one is refused, neither happens")
    func withPins() throws {
        let path = model.path(tokens(8))
        #expect(throws: StoreError.noSuchPage(model.root.short)) { try tier.pin(path: [model.root], name: "a") }
        #expect(try tier.names().isEmpty)
        try tier.pin(path: path, name: "a")
        #expect(try tier.prefix(named: "a")?.hash == last && tier.page(first).pins == 1)
        try tier.setName("b", of: first)
        #expect(throws: StoreError.invalidName("it is the name of page \(first.short)")) {
            try tier.unpin(path: path, removing: "b")
        }
        #expect(throws: StoreError.noSuchName("c")) { try tier.unpin(path: path, removing: "c") }
        #expect(try tier.page(last).pins == 1 && tier.names().map(\.name) == ["a", "b"])
        try tier.unpin(path: path, removing: "a")
        #expect(try tier.page(last).pins == 0 && tier.names().map(\.name) == ["b"])
        #expect(throws: StoreError.invalidName("it is the name of page \(first.short)")) {
            try tier.removeName("b", of: last)
        }
        try tier.removeName("b", of: first)
        #expect(try tier.names().isEmpty)
    }

    @Test("that is damaged stands for nothing, and can be taken away or given again")
    func damaged() throws {
        try tier.setName("a", of: first)
        try tier.setName("b", of: first)
        try tier.writing { (transaction, _) throws(LMDBError) in
            for name in ["a", "b"] {
                try transaction.write(tier.tables.names, Array(name.utf8), [UInt8](repeating: 1, count: 80))
            }
        }
        #expect(try tier.names().isEmpty && tier.prefix(named: "a") == nil)
        try tier.removeName("a")
        try tier.setName("b", of: last)
        #expect(try tier.names().map(\.hash) == [last])
    }
}
