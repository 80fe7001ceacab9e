// A writer of another process that stands still: nobody waits for it longer than he wants.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("A writer of another process that stands still", .serialized, .timeLimit(.minutes(10)))
struct HeldUpTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let known = (0..<200).map { TokenID($0) }
    let new = (0..<200).map { TokenID(1000 + $0) }
    var path: String { folder.path("store") }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    private func open(quota: ByteCount = .mebibytes(64)) throws -> Store {
        try Store(at: path, options: StoreOptions(quota: quota, hotCapacity: .mebibytes(4)))
    }

    @Test("leaves opening, look-ups and loads as they are; flush and close end when they were told to")
    func heldUp() throws {
        do {
            let store = try open()
            try store.space(model.identity).insertGenerated(known, by: model)
            try store.close()
        }
        let holder = try #require(try Worker.stopped(in: path))
        // Another quota and a new space: neither can be written now.
        let store = try open(quota: .mebibytes(128))
        let space = try store.space(model.identity)
        let other = try GeneratedModel("other")
        let otherSpace = try store.space(other.identity)
        #expect(try otherSpace.explain(known).others.map(\.root) == [model.identity.spaceRoot])
        #expect(try space.loadGenerated(known, by: model).loaded.tokens == known.count)
        try space.insertGenerated(new, by: model)
        try otherSpace.insertGenerated(new, by: other)
        let read = try otherSpace.loadGenerated(new, by: other)
        #expect(read.loaded.tokens == new.count && read.wrongBytes == 0)
        #expect(try !store.flush(within: .milliseconds(300)))
        #expect(holder.goOn() == 0)
        try store.flush()
        try store.close()
        let again = try Store(at: path)
        #expect(again.quota == .mebibytes(128))
        #expect(try again.space(other.identity).loadGenerated(new, by: other).loaded.tokens == new.count)
        #expect(try again.space(model.identity).loadGenerated(new, by: model).loaded.tokens == new.count)
        try again.close()
    }

    @Test("does not keep a store from being closed; what was flushed stays")
    func close() throws {
        do {
            let store = try open()
            try store.space(model.identity).insertGenerated(known, by: model)
            try store.close()
        }
        let holder = try #require(try Worker.stopped(in: path))
        let store = try open()
        try store.space(model.identity).insertGenerated(new, by: model)
        #expect(try !store.close(within: .milliseconds(300)))
        #expect(throws: StoreError.closed) { try store.flush() }
        #expect(try store.close(within: .milliseconds(300)), "a second close has nothing to do")
        holder.kill()
        let again = try open()
        let space = try again.space(model.identity)
        #expect(try space.loadGenerated(known, by: model).loaded.tokens == known.count)
        try space.insertGenerated(new, by: model)
        try again.flush()
        try again.close()
    }

    @Test("is named by the error of who has waited for it")
    func named() throws {
        do {
            let store = try open()
            try store.space(model.identity).insertGenerated(known, by: model)
            try store.close()
        }
        let holder = try #require(try Worker.stopped(in: path))
        let store = try open()
        let space = try store.space(model.identity)
        try space.insertGenerated(new, by: model)
        do throws(StoreError) {
            try store.flush()
            Issue.record("flushed past another writer")
        } catch {
            guard case .writerBusy(_, let words) = error else {
                Issue.record(error)
                return
            }
            #expect(words.hasPrefix("Process \(holder.processID) (store-worker, which opened it "), "\(words)")
        }
        #expect(try space.loadGenerated(new, by: model).loaded.tokens == new.count, "they are still in RAM")
        #expect(holder.goOn() == 0)
        try store.flush()
        try store.close()
    }
}

@Suite("A store whose files were exchanged")
struct ExchangedStoreTests {
    @Test("never flushes in vain: it says so, whether or not there was something to write")
    func dataFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        let model = try GeneratedModel()
        let store = try Store(at: path, options: StoreOptions(quota: .mebibytes(64)))
        let space = try store.space(model.identity)
        let tokens = (0..<200).map { TokenID($0) }
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        try FileManager.default.removeItem(atPath: path + "/data.mdb")
        let replaced = StoreError.fileReplaced(path: path, file: "data.mdb")
        #expect(throws: replaced) { try store.flush() }
        try space.insertGenerated(tokens.map { $0 + 1000 }, by: model)
        #expect(throws: replaced) { try store.flush() }
        #expect(throws: replaced) { _ = try store.flush(within: .seconds(10)) }
        try space.insertGenerated(tokens.map { $0 + 2000 }, by: model)
        #expect(throws: replaced) { try store.close() }
        let again = try Store(at: path)
        let fresh = try again.space(model.identity)
        #expect(try fresh.match(tokens).tokenCount == 0)
        try fresh.insertGenerated(tokens, by: model)
        try again.close()
    }
}
