// The codecs that an engine can ask for, as they arrive on disk.

import Foundation
import PrefixStore
import StoreTestKit
import Testing

@Suite("The codec that an engine asks for")
struct CodecTests {
    @Test(
        "is the one that its pages are stored with, and they come back byte for byte",
        arguments: [StoreCodec.raw, .zstd, .kbit])
    func arrives(codec: StoreCodec) throws {
        let path = NSTemporaryDirectory() + "/pfx-codec-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        let model = try GeneratedModel("codec \(codec.rawValue)")
        let tokens = (0..<40).map { TokenID($0) }
        let options = StoreOptions(quota: .mebibytes(64), hotCapacity: .zero, codec: codec)
        let store = try Store(at: path, options: options)
        let space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        let (loaded, wrongBytes) = try space.loadGenerated(tokens, by: model)
        #expect(wrongBytes == 0)
        #expect(loaded.tokensByTier.cold == tokens.count)
        try store.close()
        let inspector = try StoreInspector(at: path)
        defer { inspector.close() }
        let frames = try inspector.pages().flatMap { try inspector.frames(of: $0.hash) }
        #expect(!frames.isEmpty)
        #expect(Set(frames.map(\.codec)) == [codec.rawValue])
    }
}
