// What a sealed store's files tell somebody who has no key: every byte of the folder is searched.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("The files of a store")
struct SecrecyTests {
    private static let salt = Array("the tenant's secret salt".utf8)
    private static let state = Array("a side state that nobody may read".utf8)
    private static let blockKey = Array("a block's key, made of a prompt".utf8)
    private let prompt = (0..<40).map { TokenID(50_000 + 17 * $0) }

    /// Stores a page with a marked byte string, a side state and a block, and answers where each is found.
    private func places(_ key: SealingKey?) throws -> [String: [String]] {
        let sealed = try SealedFolder()
        let model = try GeneratedModel(salt: Salt(Self.salt))
        let blocks = try GeneratedModel("blocks", layout: .blocks(element: .opaque), salt: Salt(Self.salt))
        let memory = GeneratedMemory([Self.state + Array("of a block".utf8)])
        defer { memory.free() }
        try sealed.with(key) { store in
            let space = try store.space(model.identity)
            try space.insertGenerated(prompt, by: model)
            try store.flush()
            try unsafe space.putSideState("name", Self.state.span.bytes, after: prompt)
            let block = unsafe BlockSource(parts: [UnsafeRawBufferPointer(memory.bytes(0))])
            try store.blockSpace(blocks.identity).put([Block(Self.blockKey, block)])
        }
        let plain = model.identity.spaceRoot
        let hashes = PrefixHash.chain(from: plain, tokens: prompt[...], pageSize: 16)
        let digest = Digest.sha256(Array("PFX salt 1".utf8) + Self.salt).bytes
        return try [
            "page bytes": Array(model.pageBytes(prompt, page: 1).prefix(64)), "side state": Self.state,
            "block": Array("of a block".utf8), "block key": Self.blockKey,
            "token ids": Array(prompt[16..<20]).littleEndianBytes,
            "token ids of an edge": prompt[16..<18].flatMap { [$0.bigEndian] }.littleEndianBytes,
            "prefix hash": hashes[1].bytes, "first prefix hash": hashes[0].bytes, "identity's root": plain.bytes,
            "salt": Self.salt, "digest of the salt": digest, "sealing key": SealedFolder.keyBytes(1),
        ].mapValues { try sealed.files(with: $0) }
    }

    @Test("hold no page byte, token id, salt, block key or prefix hash that anybody could guess, when it is sealed")
    func sealed() throws {
        for (what, files) in try places(SealedFolder.key(1)) { #expect(files.isEmpty, "\(what) in \(files)") }
    }

    @Test("hold all of these but the secrets themselves when it is not: the search finds what there is")
    func plain() throws {
        let secrets = ["salt", "sealing key"]
        for (what, files) in try places(nil) {
            #expect(files == (secrets.contains(what) ? [] : ["data.mdb"]), "\(what) in \(files)")
        }
    }

    @Test("name pages that only await more hits by their keyed hashes, when it is sealed")
    func seen() throws {
        let cases: [(key: SealingKey?, isNamed: Bool)] = try [(nil, true), (SealedFolder.key(1), false)]
        for (key, isNamed) in cases {
            let sealed = try SealedFolder()
            let model = try GeneratedModel()
            let options = StoreOptions(quota: .mebibytes(64), writePolicy: .afterHits(2), sealingKey: key)
            let store = try Store(at: sealed.path, options: options)
            try store.space(model.identity).insertGenerated(prompt, by: model)
            try store.close()
            let hashes = PrefixHash.chain(from: model.identity.spaceRoot, tokens: prompt[...], pageSize: 16)
            #expect(TemporaryFolder.size(sealed.path + "/seen") == 2 << 20)
            for hash in hashes {
                let files = try sealed.files(with: hash.bytes.prefix(3).reversed())
                #expect(files.contains("seen") == isNamed)
            }
        }
    }

    @Test("are never the same twice: two stores of the same prompt under one key share no record, hash or root")
    func fresh() throws {
        let model = try GeneratedModel()
        let key = try SealedFolder.key(1)
        let roots = try (0..<2).map { _ in
            try SealedFolder().with(key) { store in
                let space = try store.space(model.identity)
                try space.insertGenerated(prompt, by: model)
                return [space.root, space.prefixHash(prompt)]
            }
        }
        #expect(Set(roots.flatMap { $0 }).count == 4)
    }
}
