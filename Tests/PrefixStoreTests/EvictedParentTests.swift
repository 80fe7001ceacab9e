// Pages that go from the disk while this process still has them in RAM.

import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("Pages in RAM whose copies on disk were evicted by another process")
struct EvictedParentTests {
    @Test("are written again with the next page behind them, so that what was flushed is found after a restart")
    func writtenAgain() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        let model = try GeneratedModel()
        let prompt = (0..<80).map { TokenID($0) }
        let options = StoreOptions(quota: .mebibytes(16), hotCapacity: .mebibytes(4))
        let store = try Store(at: path, options: options)
        let space = try store.space(model.identity)
        try space.insertGenerated(Array(prompt[..<48]), by: model)
        try store.flush()
        #expect(try ChildProcess(ChildProcess.product("store-worker"), ["trim", path]).wait() == 0)
        let read = try space.loadGenerated(prompt, by: model)
        #expect(read.loaded.tokens == 48, "they are in RAM")
        try space.insertGenerated(prompt, by: model, after: read.loaded.place)
        try store.flush()
        try store.close()
        let again = try Store(at: path, options: options)
        let after = try again.space(model.identity).loadGenerated(prompt, by: model)
        #expect(after.loaded.tokens == 80)
        #expect(after.wrongBytes == 0)
        try again.close()
    }
}
