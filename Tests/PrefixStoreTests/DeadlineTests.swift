// Callers that wait for the disk no longer than they want.

import StoreTestKit
import TestKit
import Testing
import Threads

@testable import PrefixStore

@Suite("A deadline", .serialized, .timeLimit(.minutes(10)))
struct DeadlineTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<200).map { TokenID($0) }

    /// A store of one prompt, all of it on disk.
    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
        let store = try open()
        try store.space(model.identity).insertGenerated(tokens, by: model)
        try store.close()
    }

    private func open() throws -> Store {
        try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .zero))
    }

    /// Keeps all threads that wait for the disk busy, as a disk does that answers nobody, while `body` runs.
    private func withSlowDisk<R>(_ store: Store, _ body: () throws -> R) rethrows -> R {
        let answers = Guarded(false)
        for _ in 0..<Errands.threadLimit { _ = store.errands.begin { answers.wait(until: { $0 }) } }
        defer {
            answers.withLock { $0 = true }
            answers.broadcast()
        }
        return try body()
    }

    @Test("that passes while a look-up waits for the disk makes it a miss that says so; the next one finds everything")
    func lookUp() throws {
        let store = try open()
        let space = try store.space(model.identity)
        try withSlowDisk(store) {
            let late = try space.match(tokens, within: .milliseconds(10))
            #expect(late.isEmpty && late.isLate)
        }
        let match = try space.match(tokens, within: .seconds(600))
        #expect(match.tokenCount == tokens.count && !match.isLate)
        try store.close()
    }

    @Test("that passes while a load waits for the disk leaves what was delivered; the next one delivers everything")
    func load() throws {
        let store = try open()
        let space = try store.space(model.identity)
        try withSlowDisk(store) {
            let late = try space.loadGenerated(tokens, by: model, within: .milliseconds(10)).loaded
            #expect(late.tokens == 0 && late.isLate)
        }
        let read = try space.loadGenerated(tokens, by: model, within: .seconds(600))
        #expect(read.loaded.tokens == tokens.count && !read.loaded.isLate && read.wrongBytes == 0)
        let layers = Guarded(0)
        let layered = try space.loadGenerated(
            tokens, by: model, within: .seconds(600), onLayersReady: { ready in layers.withLock { $0 = ready } })
        #expect(layered.wrongBytes == 0 && layers.withLock { $0 } == model.layout.layers)
        try store.close()
    }

    @Test("that has passed already delivers nothing from disk, and throws nothing")
    func past() throws {
        let store = try open()
        let late = try store.space(model.identity).loadGenerated(tokens, by: model, within: .zero).loaded
        #expect(late.tokens < tokens.count && late.isLate)
        try store.close()
    }
}

@Suite("An errand")
struct ErrandTests {
    @Test("goes on when its caller has left, and is not begun for a caller that left before")
    func goesOn() {
        let errands = Errands()
        let (mayEnd, counts) = (Guarded(false), Guarded((begun: 0, ended: 0)))
        for _ in 0..<Errands.threadLimit {
            let withdraw = errands.begin {
                counts.withLock { $0.begun += 1 }
                counts.broadcast()
                mayEnd.wait(until: { $0 })
                counts.withLock { $0.ended += 1 }
                counts.broadcast()
            }
            #expect(withdraw != nil)
        }
        counts.wait(until: { $0.begun == Errands.threadLimit })
        #expect(errands.run(before: .after(.milliseconds(10)), { counts.withLock { $0.ended += 100 } }) == nil)
        mayEnd.withLock { $0 = true }
        mayEnd.broadcast()
        counts.wait(until: { $0.ended == Errands.threadLimit })
        #expect(errands.run(before: .after(.seconds(600)), { 7 }) == 7)
        #expect(counts.withLock { $0.ended } == Errands.threadLimit, "what was withdrawn was not begun")
        errands.close()
        #expect(errands.run(before: .after(.seconds(600)), { 7 }) == nil, "a closed one has no threads")
    }
}
