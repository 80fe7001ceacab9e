// Keys: where they come from, how they are changed, and how a space is forgotten.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A sealing key")
struct SealingKeyTests {
    @Test("is 32 bytes or 64 hexadecimal digits, and shows nothing but its id")
    func forms() throws {
        let key = try SealedFolder.key(1)
        let text = try SealedFolder.keyText(1)
        #expect(try SealingKey(text: SealedFolder.keyBytes(1)) == key)
        #expect(try SealingKey(text: Array("\(text)\n".utf8)) == key)
        #expect(try SealingKey(text: Array(" \(text.uppercased()) \r\n".utf8)) == key)
        #expect(try SealedFolder.key(2) != key && key.id.count == 16)
        #expect("\(key)" == "sealing key \(key.id)" && !text.contains(key.id))
        for wrong in [
            [], [1, 2, 3], Array(text.utf8.dropLast()), Array((text + "00").utf8), [UInt8](repeating: 7, count: 32),
        ] {
            #expect(throws: StoreError.self) { _ = try SealingKey(text: wrong) }
        }
    }

    @Test("of a file is taken only when no one else can read or write the file")
    func files() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("key")
        try Data("\(SealedFolder.keyText(1))\n".utf8).write(to: URL(fileURLWithPath: path))
        for (mode, isTaken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            if isTaken {
                #expect(try SealingKey(file: path) == SealedFolder.key(1))
            } else {
                #expect(throws: StoreError.self) { _ = try SealingKey(file: path) }
            }
        }
        #expect {
            _ = try SealingKey(file: folder.path("missing"))
        } throws: { error in
            (error as? StoreError)?.description.contains("No such file or directory") == true
        }
        #expect(throws: StoreError.self) { _ = try SealingKey(file: folder.path) }
    }

    @Test("comes from a descriptor, to its end")
    func descriptor() throws {
        let pipe = ChildProcess.pipe()
        let writing = FileHandle(fileDescriptor: pipe.writing, closeOnDealloc: true)
        try writing.write(contentsOf: Data(SealedFolder.keyBytes(3)))
        try writing.close()
        #expect(try SealingKey(descriptor: pipe.reading) == SealedFolder.key(3))
        #expect(throws: StoreError.self) { _ = try SealingKey(descriptor: pipe.reading) }
        close(pipe.reading)
    }
}

@Suite("A sealed store", .serialized)
struct RekeyTests {
    let sealed: SealedFolder
    let models: [GeneratedModel]
    private let prompt = (0..<50).map { TokenID(7000 + $0) }

    init() throws {
        sealed = try SealedFolder()
        models = try (0..<3).map { try GeneratedModel("model \($0)") }
    }

    private func fill(_ key: SealingKey?) throws {
        try sealed.with(key) { store in
            for model in models { try store.space(model.identity).insertGenerated(prompt, by: model) }
        }
    }

    /// Tokens of the prompt that each model loads; nil when a byte was wrong.
    private func loaded(_ key: SealingKey?) throws -> [Int?] {
        try sealed.with(key) { store in
            try models.map { model in
                let read = try store.space(model.identity).loadGenerated(prompt, by: model)
                return read.wrongBytes == 0 ? read.loaded.tokens : nil
            }
        }
    }

    @Test("that got another key opens with that alone, and its file holds no copy of a data key under the old one")
    func rekey() throws {
        let (old, new) = (try SealedFolder.key(1), try SealedFolder.key(2))
        try fill(old)
        let before = try sealed.wrappedKeys()
        #expect(before.count == 3)
        let inspector = try StoreInspector(at: sealed.path, sealingKey: old)
        #expect(try inspector.rekey(to: new) == 3)
        #expect(try inspector.spaces().allSatisfy { $0.sealing == .sealed(keyID: new.id) })
        inspector.close()
        let after = try sealed.wrappedKeys()
        #expect(after.count == 3 && after.isDisjoint(with: before))
        #expect(try loaded(new) == [50, 50, 50])
        #expect(throws: StoreError.wrongKey(found: new.id, given: old.id)) { _ = try loaded(old) }
    }

    @Test("keeps its key when the old one is missing or is not that of a space")
    func refused() throws {
        let keys = try (1...3).map { try SealedFolder.key(UInt8($0)) }
        try fill(keys[0])
        for (given, error) in [
            (nil, StoreError.invalidKey("the store was opened without one")),
            (keys[1], StoreError.wrongKey(found: keys[0].id, given: keys[1].id)),
        ] {
            let inspector = try StoreInspector(at: sealed.path, sealingKey: given)
            #expect(throws: error) { _ = try inspector.rekey(to: keys[2]) }
            inspector.close()
        }
        #expect(try loaded(keys[0]) == [50, 50, 50])
    }

    @Test("has all spaces under one of two keys, wherever a change of the key is killed", .timeLimit(.minutes(10)))
    func killedRekey() throws {
        let keys = try (1...2).map { try SealedFolder.key(UInt8($0)) }
        try fill(keys[0])
        for round in 0..<8 {
            let inspector = try StoreInspector(at: sealed.path)
            let first = try #require(try inspector.spaces().first)
            inspector.close()
            let isOld = first.sealing == .sealed(keyID: keys[0].id)
            let texts = try [isOld ? 1 : 2, isOld ? 2 : 1].map { try SealedFolder.keyText($0) }
            let worker = try Worker(["rekey", sealed.path] + texts)
            for _ in 0..<round % 3 { #expect(worker.nextLine() == "spaces 3") }
            usleep(UInt32(round * 700))
            worker.kill()
            let after = try StoreInspector(at: sealed.path)
            let ids = Set(try after.spaces().map { "\($0.sealing)" })
            let last = try #require(try after.spaces().first?.sealing)
            after.close()
            #expect(ids.count == 1)
            let key = try #require(keys.first { last == .sealed(keyID: $0.id) })
            #expect(try loaded(key) == [50, 50, 50], "round \(round)")
        }
    }

    @Test("forgets a space with its key, its pages and its names, and keeps the others")
    func forget() throws {
        let key = try SealedFolder.key(1)
        try fill(key)
        let root = try sealed.with(key) { store in
            let space = try store.space(models[1].identity)
            try space.pin(prompt)
            try space.setName("forgotten", of: prompt)
            return space.root
        }
        let before = try sealed.wrappedKeys()
        // No key is needed to forget.
        let inspector = try StoreInspector(at: sealed.path)
        #expect(try inspector.forget(space: root) == 4)
        #expect(throws: StoreError.noSuchSpace(root.short)) { _ = try inspector.forget(space: root) }
        #expect(try inspector.spaces().count == 2 && inspector.names().isEmpty && inspector.pages().count == 8)
        #expect(try inspector.verify().isSound)
        inspector.close()
        let after = try sealed.wrappedKeys()
        #expect(before.count == 3 && after.count == 2 && after.isSubset(of: before))
        #expect(try loaded(key) == [50, 0, 50])
    }

    @Test("leaves alone what only looks like a wrapped key, when it is rekeyed and when it forgets a space")
    func lookalikes() throws {
        let (old, new) = (try SealedFolder.key(1), try SealedFolder.key(2))
        try fill(old)
        let name = "PFXwrap1, so that it looks like a key, up to its last character"
        try sealed.with(old) { try $0.space(models[0].identity).setName(name, of: prompt) }
        let inspector = try StoreInspector(at: sealed.path, sealingKey: old)
        let named = try #require(try inspector.names().first).root
        let root = try #require(try inspector.spaces().first { $0.descriptor.root != named }).descriptor.root
        #expect(try inspector.rekey(to: new) == 3)
        #expect(try inspector.forget(space: root) == 4)
        #expect(try inspector.names().map(\.name) == [name])
        #expect(try inspector.verify().isSound)
        inspector.close()
        #expect(try sealed.wrappedKeys().count == 2 + 1)
    }

    @Test("forgets a plain space too")
    func forgetPlain() throws {
        try fill(nil)
        let inspector = try StoreInspector(at: sealed.path)
        #expect(try inspector.forget(space: models[0].identity.spaceRoot) == 4)
        #expect(try inspector.spaces().count == 2)
        inspector.close()
        #expect(try loaded(nil) == [0, 50, 50])
    }

    @Test("goes on forgetting where it was killed, and an engine's pages never come back", .timeLimit(.minutes(10)))
    func killedForget() throws {
        let key = try SealedFolder.key(1)
        for round in 0..<6 {
            let sealed = try SealedFolder()
            try sealed.with(key) { store in
                for model in models { try store.space(model.identity).insertGenerated(prompt, by: model) }
            }
            let worker = try Worker(["forget", sealed.path])
            #expect(worker.nextLine() == "begins")
            usleep(UInt32(round * 1500))
            worker.kill()
            let (lines, status) = try Worker(["forget", sealed.path]).finish()
            #expect(status == 0 && lines.last?.hasPrefix("forgot ") == true, "\(lines)")
            let inspector = try StoreInspector(at: sealed.path)
            #expect(try inspector.spaces().isEmpty && inspector.pages().isEmpty && inspector.verify().isSound)
            inspector.close()
            #expect(try sealed.wrappedKeys().isEmpty)
        }
    }

    @Test("takes no page of a space that was forgotten while it was open, and makes a new one at the next opening")
    func forgottenWhileOpen() throws {
        let key = try SealedFolder.key(1)
        let environment = ["PFX_KEY": try SealedFolder.keyText(1)]
        let worker = try Worker(["fill", sealed.path, "1"], environment: environment)
        #expect(worker.nextLine() != nil)
        #expect(try Worker(["forget", sealed.path]).finish().status == 0)
        for _ in 0..<3 { #expect(worker.nextLine() != nil) }
        worker.kill()
        let inspector = try StoreInspector(at: sealed.path, sealingKey: key)
        #expect(try inspector.pages().isEmpty && inspector.spaces().isEmpty)
        inspector.close()
        #expect(try Worker(["check", sealed.path, "1", "3"], environment: environment).finish().lines.first != nil)
    }
}
