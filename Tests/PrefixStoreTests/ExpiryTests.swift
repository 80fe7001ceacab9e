// Dates: from when on a prefix is a miss, in RAM as on disk, in this process as in others.

import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("A prefix with a date")
struct ExpiryTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<40).map { TokenID($0) }
    static let past = Timestamp(milliseconds: 1)

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    func open(hot: ByteCount = .mebibytes(4)) throws -> (Store, Space) {
        let options = StoreOptions(quota: .mebibytes(64), hotCapacity: hot, promotes: true)
        let store = try Store(at: folder.path("store"), options: options)
        return (store, try store.space(model.identity))
    }

    @Test("is a miss from its date on, in RAM and on disk", arguments: [ByteCount.zero, .mebibytes(4)])
    func inserted(hot: ByteCount) throws {
        let (store, space) = try open(hot: hot)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        try space.expire(tokens, at: Self.past)
        #expect(try space.match(tokens).tokenCount == 32)
        try space.expire(Array(tokens[..<16]), at: Self.past)
        #expect(try space.match(tokens).tokenCount == 0)
        try store.close()
        let (again, same) = try open(hot: hot)
        #expect(try same.match(tokens).tokenCount == 0)
        try again.close()
    }

    @Test("keeps its date when it is loaded into RAM before it")
    func promoted() throws {
        let (first, space) = try open()
        try space.insertGenerated(tokens, by: model)
        try first.flush()
        try space.expire(Array(tokens[..<16]), at: .now + .seconds(5))
        try first.close()
        let (second, loading) = try open()
        #expect(try loading.loadGenerated(tokens, by: model).loaded.tokensByTier.cold == 40)
        second.finishPromotions()
        #expect(try loading.match(tokens).tokensByTier.hot == 40)
        while try loading.match(tokens).tokenCount > 0 {}
        #expect(try loading.match(tokens).tokenCount == 0)
        try second.close()
    }

    @Test("lives on when the date is taken off in time")
    func takenOff() throws {
        let (store, space) = try open()
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        try space.expire(tokens, at: .now + .milliseconds(200))
        try space.expire(tokens, at: nil)
        let end = Timestamp.now + .milliseconds(250)
        while Timestamp.now < end {}
        #expect(try space.match(tokens).tokenCount == 40)
        #expect(throws: StoreError.self) { try space.expire(tokens, at: Timestamp(milliseconds: -5)) }
        try store.close()
    }

    @Test(
        "is stored as a new one, without a date, when it is inserted after it",
        arguments: [ByteCount.zero, .mebibytes(4)])
    func insertedAgain(hot: ByteCount) throws {
        let (store, space) = try open(hot: hot)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        try space.expire(Array(tokens[..<16]), at: Self.past)
        #expect(try space.match(tokens).tokenCount == 0)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        #expect(try space.match(tokens).tokenCount == 40)
        try store.close()
        let (again, same) = try open(hot: hot)
        let read = try same.loadGenerated(tokens, by: model)
        #expect(read.loaded.tokensByTier.cold == 40 && read.wrongBytes == 0)
        try again.close()
        let inspector = try StoreInspector(at: folder.path("store"))
        #expect(try inspector.verify().findings.isEmpty)
        inspector.close()
    }

    @Test("of another process's date is a miss after the next write that reports its use")
    func otherProcess() throws {
        let (store, space) = try open()
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        let (lines, status) = try Worker(["expire", folder.path("store"), "16"]).finish()
        #expect(status == 0 && lines == ["expired"])
        _ = try space.match(tokens).tokenCount
        try store.flush()
        #expect(try space.match(tokens).tokenCount == 0)
        try store.close()
    }

    @Test("has no side states any more, nor have those behind it")
    func sideStates() throws {
        let (store, space) = try open()
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        let state: [UInt8] = [1, 2, 3]
        try space.putSideState("window", unsafe state.span.bytes, after: tokens)
        #expect(try space.sideState("window", after: tokens) == state)
        try space.expire(Array(tokens[..<16]), at: Self.past)
        #expect(try space.sideState("window", after: tokens) == nil)
        try store.close()
    }
}
