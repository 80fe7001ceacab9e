// The options of spilling, as an engine sees them.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A store with a spill rate")
struct SpillRateTests {
    @Test(
        "writes everything at full speed on flush and on close, encoded as the engine asked",
        arguments: [StoreCodec.auto, .kbit])
    func flushes(codec: StoreCodec) throws {
        let folder = try TemporaryFolder()
        let model = try GeneratedModel("spill rate \(codec)")
        let tokens = (0..<96).map { TokenID($0) }
        // At one byte per second, the pages would take hours.
        let options = StoreOptions(
            quota: .mebibytes(64), hotCapacity: .zero, codec: codec, spillRate: ByteCount(1))
        let store = try Store(at: folder.path("store"), options: options)
        let space = try store.space(model.identity)
        try space.insertGenerated(Array(tokens[..<48]), by: model)
        try store.flush()
        try space.insertGenerated(tokens, by: model)
        try store.close()
        let again = try Store(at: folder.path("store"), options: options)
        let read = try again.space(model.identity).loadGenerated(tokens, by: model)
        #expect(read.loaded.tokensByTier.cold == 96)
        #expect(read.wrongBytes == 0)
        try again.close()
    }
}
