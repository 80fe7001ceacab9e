// Sealed spaces as an engine uses them.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A sealed space")
struct SealedSpaceTests {
    let sealed: SealedFolder
    let model: GeneratedModel

    init() throws {
        sealed = try SealedFolder()
        model = try GeneratedModel()
    }

    /// 7 pages of 16 tokens and a tail of 3.
    private let prompt = (0..<115).map { TokenID(7000 + $0) }

    private func load(_ tokens: [TokenID], _ key: SealingKey?, by other: GeneratedModel? = nil) throws -> (Int, Int) {
        let model = other ?? model
        return try sealed.with(key) { store in
            let read = try store.space(model.identity).loadGenerated(tokens, by: model)
            return (read.loaded.tokens, read.wrongBytes)
        }
    }

    @Test("gives back every byte after a restart, the tail included, to the token")
    func restart() throws {
        try sealed.with(SealedFolder.key(1)) { store in
            let space = try store.space(model.identity)
            #expect(space.isSealed && space.root != model.identity.spaceRoot)
            #expect(try space.insertGenerated(prompt, by: model) == 8)
        }
        #expect(try load(prompt, SealedFolder.key(1)) == (115, 0))
        // Requests that leave the stored prefix inside a page, at its first token, and inside the tail.
        for (shared, found) in [(40, 40), (32, 32), (1, 1), (113, 113), (112, 112), (0, 0)] {
            let other = Array(prompt[..<shared]) + [99, 98, 97]
            #expect(try load(other, SealedFolder.key(1)) == (found, 0), "\(shared) shared tokens")
        }
    }

    @Test("finds the longest common run among children that begin with the same token, and those that do not")
    func branches() throws {
        try sealed.with(SealedFolder.key(1)) { store in
            let space = try store.space(model.identity)
            for end in 1...12 {
                let branch = Array(prompt[..<(16 + end)]) + (0..<20).map { TokenID(100_000 * end + $0) }
                try space.insertGenerated(branch, by: model)
            }
        }
        for end in 1...12 {
            let request = Array(prompt[..<(16 + end)]) + [TokenID(100_000 * end), 5, 5, 5]
            #expect(try load(request, SealedFolder.key(1)) == (16 + end + 1, 0))
        }
    }

    @Test("replaces a tail by the longer page that begins like it")
    func tails() throws {
        let pages = try sealed.with(SealedFolder.key(1)) { store in
            let space = try store.space(model.identity)
            try space.insertGenerated(Array(prompt[..<20]), by: model)
            try store.flush()
            try space.insertGenerated(Array(prompt[..<30]), by: model)
            try store.flush()
            return store.statistics.spilledPages
        }
        #expect(pages == 3)
        let inspector = try StoreInspector(at: sealed.path)
        #expect(try inspector.info().pages == 2)
        inspector.close()
        #expect(try load(Array(prompt[..<30]), SealedFolder.key(1)) == (30, 0))
    }

    @Test("keeps side states and blocks")
    func sidesAndBlocks() throws {
        let state = Array("state of the recurrent layers".utf8)
        let blocks = try GeneratedModel("blocks", layout: .blocks(element: .bf16))
        let memory = GeneratedMemory([[UInt8](repeating: 0x5A, count: 6000), [UInt8](repeating: 0, count: 6000)])
        defer { memory.free() }
        try sealed.with(SealedFolder.key(1)) { store in
            let space = try store.space(model.identity)
            try space.insertGenerated(prompt, by: model)
            try store.flush()
            try unsafe space.putSideState("state", state.span.bytes, after: prompt)
            let blockSpace = try store.blockSpace(blocks.identity)
            #expect(blockSpace.isSealed)
            let source = unsafe BlockSource(parts: [UnsafeRawBufferPointer(memory.bytes(0))])
            try blockSpace.put([Block([1, 2], source), Block([3], after: [1, 2], source)])
        }
        try sealed.with(SealedFolder.key(1)) { store in
            let space = try store.space(model.identity)
            #expect(try space.sideState("state", after: prompt) == state)
            #expect(try space.sideStateNames(after: prompt) == ["state"])
            let blockSpace = try store.blockSpace(blocks.identity)
            #expect(try blockSpace.holds([[1, 2], [3], [4]]) == [true, true, false])
            #expect(try blockSpace.load([[3]], into: [unsafe BlockTarget(memory.bytes(1))]) == [true])
            #expect(unsafe Array(memory.bytes(1)) == [UInt8](repeating: 0x5A, count: 6000))
            #expect(try blockSpace.remove([[1, 2]]) == 2)
        }
    }

    @Test("keeps pins, dates and names")
    func keeping() throws {
        try sealed.with(SealedFolder.key(1)) { store in
            let space = try store.space(model.identity)
            try space.insertGenerated(prompt, by: model)
            try store.flush()
            try space.pin(prompt)
            try space.setName("librarian", of: prompt)
            #expect(try store.prefix(named: "librarian")?.hash == space.prefixHash(prompt))
            try space.expire(prompt, at: .now + .seconds(3600))
            #expect(try space.loadGenerated(prompt, by: model).loaded.tokens == 115)
            try space.expire(prompt, at: Timestamp(milliseconds: 1))
            #expect(try space.match(prompt).tokenCount == 112)
        }
        // Without the key dates and pins can be changed too; the pages stay sound.
        let inspector = try StoreInspector(at: sealed.path)
        let page = try #require(try inspector.names().first?.hash)
        try inspector.unpin(page, removing: "librarian")
        inspector.close()
        try sealed.with(SealedFolder.key(1)) { store in
            try store.space(model.identity).expire(prompt, at: nil)
        }
        #expect(try load(prompt, SealedFolder.key(1)) == (115, 0))
    }

    @Test("is found by its own salt alone")
    func salts() throws {
        let tenants = try (0..<3).map { number in
            try GeneratedModel(salt: number == 0 ? nil : Salt([UInt8](repeating: UInt8(number), count: 16)))
        }
        try sealed.with(SealedFolder.key(1)) { store in
            for tenant in tenants { try store.space(tenant.identity).insertGenerated(prompt, by: tenant) }
            #expect(Set(try tenants.map { try store.space($0.identity).root }).count == 3)
        }
        for tenant in tenants { #expect(try load(prompt, SealedFolder.key(1), by: tenant) == (115, 0)) }
        let stranger = try GeneratedModel(salt: Salt([UInt8](repeating: 9, count: 16)))
        #expect(try load(prompt, SealedFolder.key(1), by: stranger) == (0, 0))
    }

    @Test("is refused without a key and with another one, and nothing of it changes")
    func wrongKey() throws {
        let (right, wrong) = (try SealedFolder.key(1), try SealedFolder.key(2))
        try sealed.with(right) { try $0.space(model.identity).insertGenerated(prompt, by: model) }
        let root = try sealed.with(right) { try $0.space(model.identity).root }
        try sealed.with(nil) { store in
            #expect(throws: StoreError.sealedSpace(root.short)) { _ = try store.space(model.identity) }
            // The same weights, run in another way: a forgotten key must not write them in the clear.
            let other = try ModelIdentity(
                weights: model.identity.weights,
                layout: KVLayout(
                    layers: 1, kvHeads: 1, headDimension: 4, element: .fp16, pageSize: 8),
                positions: "other", tokenizer: Digest.sha256([1]), engine: "other", engineFormat: 2)
            #expect(throws: StoreError.sealedSpace(root.short)) { _ = try store.space(other) }
            // Another model is nobody's secret.
            let stranger = try store.space(GeneratedModel("other").identity)
            #expect(!stranger.isSealed)
        }
        try sealed.with(wrong) { store in
            #expect(throws: StoreError.wrongKey(found: right.id, given: wrong.id)) {
                _ = try store.space(model.identity)
            }
            #expect(throws: StoreError.wrongKey(found: right.id, given: wrong.id)) {
                _ = try store.space(GeneratedModel("new").identity)
            }
        }
        #expect(try load(prompt, right) == (115, 0))
    }

    @Test("and a plain one of the same identity never serve each other")
    func plainBesideSealed() throws {
        try sealed.with(nil) { try $0.space(model.identity).insertGenerated(prompt, by: model) }
        #expect(try load(prompt, SealedFolder.key(1)) == (0, 0))
        try sealed.with(SealedFolder.key(1)) { store in
            try store.space(model.identity).insertGenerated(Array(prompt[..<16]), by: model)
        }
        #expect(try load(prompt, SealedFolder.key(1)) == (16, 0))
        #expect(try load(prompt, nil) == (115, 0))
    }

    @Test("of two processes is one, and what one of them flushed survives its kill", .timeLimit(.minutes(10)))
    func processes() throws {
        let environment = ["PFX_KEY": try SealedFolder.keyText(1)]
        let worker = try Worker(["fill", sealed.path, "5"], environment: environment)
        var flushed = 0
        for _ in 0..<3 { flushed = Int(worker.nextLine()?.split(separator: " ").last ?? "") ?? 0 }
        worker.kill()
        #expect(flushed == 9)
        let check = ["check", sealed.path, "5", "9"]
        #expect(try Worker(check, environment: environment).finish().lines == ["lost 0 wrong 0"])
        let refused = try Worker(check).finish()
        #expect(refused.status == 1 && refused.lines.first?.contains("is sealed") == true, "\(refused.lines)")
        let workers = try (0..<2).map {
            try Worker(["hammer", sealed.path, "5", "\($0)", "8MiB"], environment: environment)
        }
        for worker in workers {
            let words = worker.finish().lines.last?.split(separator: " ") ?? []
            #expect(words.count == 10 && words[0] == "rounds" && words[3] == "0", "\(words)")
        }
        let inspector = try StoreInspector(at: sealed.path, sealingKey: SealedFolder.key(1))
        let report = try inspector.verify()
        #expect(report.findings.isEmpty, "\(report.findings)")
        #expect(try inspector.spaces().count == 2)
        inspector.close()
    }

    @Test("can be looked at without its key as far as that is open, and whole with it")
    func inspection() throws {
        let key = try SealedFolder.key(1)
        try sealed.with(key) { try $0.space(model.identity).insertGenerated(prompt, by: model) }
        let blind = try StoreInspector(at: sealed.path)
        let space = try #require(try blind.spaces().first)
        #expect(space.sealing == .sealed(keyID: key.id) && space.descriptor.labels == ["model": "generated"])
        let first = try #require(try blind.children(of: space.root).first)
        #expect(try blind.pages().count == 8)
        #expect(throws: StoreError.sealedSpace(space.root.short)) { try blind.tokens(of: first.hash) }
        #expect(throws: StoreError.sealedSpace(space.root.short)) { try blind.frames(of: first.hash) }
        let report = try blind.verify()
        #expect(report.isSound && report.findings.allSatisfy { $0.kind == .sealed } && report.findingCount == 9)
        blind.close()
        let seeing = try StoreInspector(at: sealed.path, sealingKey: key)
        #expect(try seeing.tokens(of: first.hash) == Array(prompt[..<16]))
        #expect(try seeing.frames(of: first.hash).allSatisfy(\.isSound))
        let whole = try seeing.verify()
        #expect(whole.findings.isEmpty && whole.records == 8, "\(whole.findings)")
        seeing.close()
    }
}
