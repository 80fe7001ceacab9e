// A whole store over a damaged file: looking, reading, writing.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit

extension FuzzTarget {
    /// Changes to the file of a store that is otherwise sound.
    static let store = FuzzTarget(
        name: "store", subject: "a whole store over a damaged data.mdb: verify, matches, loads, inserts", longest: 256,
        seeds: { [[0, 0, 0, 0]] },
        run: { input in StoreFile.sound.use(&input) })
}

/// A small store with pages, side states, names and evictions behind it.
private struct StoreFile {
    private let patches: Patches
    private let model: GeneratedModel
    private let prompts: [[TokenID]]

    static let sound: StoreFile = {
        guard let made = try? StoreFile() else { preconditionFailure("a store can be made") }
        return made
    }()

    private init() throws {
        let folder = try TemporaryFolder()
        model = try GeneratedModel(
            "fuzz", layout: try KVLayout(layers: 1, kvHeads: 1, headDimension: 8, element: .bf16, pageSize: 16))
        var random = RandomPrompts(seed: 7, documents: 2, longest: 60)
        prompts = (0..<8).map { _ in random.next() }
        let store = try Store(at: folder.path, options: Self.options)
        let space = try store.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try store.close()
        let bytes = try Scratch.read(folder.path("data.mdb"))
        patches = Patches(whole: Array(bytes.prefix(255 * Patches.pageSize)))
        precondition(bytes.count == patches.whole.count, "one byte names every page of the file")
    }

    private static let options = StoreOptions(quota: .mebibytes(4), hotCapacity: .kibibytes(0))

    func use(_ input: inout FuzzInput) {
        guard let folder = try? TemporaryFolder() else { return }
        let bytes = patches.damaged(by: &input)
        guard (try? Scratch.write(bytes, to: folder.path("data.mdb"))) != nil else { return }
        unsafe chmod(folder.path, 0o700)
        if let inspector = try? StoreInspector(at: folder.path) {
            _ = try? inspector.verify()
            _ = try? inspector.info()
            _ = try? inspector.pages(order: .hits, limit: 20)
            inspector.close()
        }
        guard let store = try? Store(at: folder.path, options: Self.options) else { return }
        if let space = try? store.space(model.identity) {
            for prompt in prompts {
                guard let read = try? space.loadGenerated(prompt, by: model) else { continue }
                input.require(read.wrongBytes == 0, "a byte that is read is the byte that was stored")
                input.plant(read.loaded.tokens < prompt.count)
            }
            _ = try? space.insertGenerated(prompts[0] + [7, 8, 9], by: model)
            _ = try? store.flush()
        }
        try? store.close()
    }
}
