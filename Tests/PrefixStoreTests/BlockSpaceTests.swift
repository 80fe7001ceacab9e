// Blocks as an engine with keys of its own stores and loads them.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A space of blocks")
struct BlockSpaceTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open() throws -> Store {
        try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(1)))
    }

    private static func identity(_ name: String = "blocks", element: KVElement = .bf16) throws -> ModelIdentity {
        try GeneratedModel(name, layout: .blocks(element: element)).identity
    }

    private static func bytes(_ seed: UInt8, count: Int = 6000) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) ^ seed }
    }

    /// Puts blocks whose bytes follow from their keys' first bytes, each in two parts.
    @discardableResult
    private func put(_ keys: [[UInt8]], after parent: [UInt8]? = nil, into space: BlockSpace) throws -> Int {
        let memory = GeneratedMemory(keys.map { Self.bytes($0.first ?? 0) })
        defer { memory.free() }
        let outcomes = try space.put(
            keys.indices.map { index in
                let whole = unsafe UnsafeRawBufferPointer(memory.bytes(index))
                let parts = unsafe [
                    UnsafeRawBufferPointer(rebasing: whole[..<1001]), UnsafeRawBufferPointer(rebasing: whole[1001...]),
                ]
                return unsafe Block(keys[index], after: parent, BlockSource(parts: parts))
            })
        return outcomes.count { $0 == .queued }
    }

    /// Loads blocks; nil for those that were not loaded.
    private func load(_ keys: [[UInt8]], from space: BlockSpace) throws -> [[UInt8]?] {
        let memory = GeneratedMemory(keys.map { _ in [UInt8](repeating: 0xA5, count: 6000) })
        defer { memory.free() }
        let isLoaded = try space.load(keys, into: keys.indices.map { unsafe BlockTarget(memory.bytes($0)) })
        return isLoaded.indices.map { isLoaded[$0] ? unsafe Array(memory.bytes($0)) : nil }
    }

    @Test("gives back what another life of the process put, once it was flushed")
    func reopened() throws {
        let keys: [[UInt8]] = [[1], [2, 2], [UInt8](repeating: 3, count: 511)]
        let first = try open()
        let space = try first.blockSpace(Self.identity())
        #expect(try put(keys, into: space) == 3)
        try first.flush()
        #expect(try space.holds(keys + [[4]]) == [true, true, true, false])
        try first.close()
        let second = try open()
        let again = try second.blockSpace(Self.identity())
        #expect(again.root == space.root && again.element == .bf16)
        #expect(try again.leadingCount(of: keys + [[4]]) == 3)
        #expect(try load([[2, 2], [4], [1]], from: again) == [Self.bytes(2), nil, Self.bytes(1)])
        #expect(second.statistics.loadedBytes == ByteCount(12_000))
        try second.close()
    }

    @Test("is closed with all that was put into it on disk")
    func closed() throws {
        let store = try open()
        let space = try store.blockSpace(Self.identity())
        try put([[1]], into: space)
        try store.close()
        #expect(throws: StoreError.closed) { _ = try space.holds([[1]]) }
        #expect(throws: StoreError.closed) { try put([[2]], into: space) }
        let again = try open()
        #expect(try load([[1]], from: again.blockSpace(Self.identity())) == [Self.bytes(1)])
        try again.close()
    }

    @Test("takes a block once, however often it is put")
    func duplicates() throws {
        let store = try open()
        let space = try store.blockSpace(Self.identity())
        #expect(try put([[1], [1], [1, 0]], into: space) == 2)
        try store.flush()
        #expect(try put([[1], [1, 0]], into: space) == 0)
        #expect(store.statistics.spilledPages == 2 && store.statistics.insertedPages == 2)
        try store.close()
    }

    @Test("keeps blocks behind their parents, and removes them with those")
    func parents() throws {
        let store = try open()
        let space = try store.blockSpace(Self.identity())
        try put([[1]], into: space)
        #expect(try put([[2], [3]], after: [1], into: space) == 2)
        #expect(try put([[5]], after: [4], into: space) == 0)
        #expect(store.statistics.orphanPages == 1)
        try space.touch([[1], [9]])
        try store.flush()
        #expect(try space.holds([[1], [2], [3], [4], [5]]) == [true, true, true, false, false])
        #expect(try put([[6]], after: [2], into: space) == 1)
        try store.flush()
        #expect(store.statistics.orphanPages == 1)
        #expect(try space.remove([[1], [9]]) == 4)
        #expect(try space.leadingCount(of: [[1]]) == 0)
        try store.close()
    }

    @Test("never answers for another identity")
    func isolation() throws {
        let store = try open()
        try put([[1]], into: store.blockSpace(Self.identity()))
        try store.flush()
        for other in [try Self.identity("another"), try Self.identity(element: .fp16)] {
            #expect(try load([[1]], from: store.blockSpace(other)) == [nil])
        }
        try store.close()
    }

    @Test("refuses calls that make no sense, by name")
    func refusals() throws {
        let store = try open()
        let space = try store.blockSpace(Self.identity())
        for count in [0, 512] {
            let key = [UInt8](repeating: 1, count: count)
            let error = StoreError.invalidBlock("a key of \(count) bytes; 1 to 511 are possible")
            #expect(throws: error) { try put([[1], key], into: space) }
            #expect(throws: error) { try put([[1]], after: key, into: space) }
            #expect(throws: error) { _ = try space.holds([key]) }
            #expect(throws: error) { _ = try space.leadingCount(of: [key]) }
            #expect(throws: error) { _ = try load([key], from: space) }
            #expect(throws: error) { try space.touch([key]) }
            #expect(throws: error) { _ = try space.remove([key]) }
        }
        try store.flush()
        #expect(try space.holds([[1]]) == [false])
        let memory = GeneratedMemory([[0, 0, 0]])
        defer { memory.free() }
        let odd = unsafe Block([1], BlockSource(UnsafeRawBufferPointer(memory.bytes(0))))
        #expect(throws: StoreError.invalidBlock("3 bytes are not a multiple of the 2 bytes of bf16")) {
            try space.put([odd])
        }
        #expect(throws: StoreError.invalidBlock("1 keys and 0 targets")) { _ = try space.load([[1]], into: []) }
        #expect(throws: StoreError.invalidLayout("a space of blocks has the layout KVLayout.blocks(element:)")) {
            _ = try store.blockSpace(GeneratedModel().identity)
        }
        #expect(throws: StoreError.invalidLayout("blocks are not found by token ids")) {
            _ = try store.space(Self.identity())
        }
        try store.close()
    }
}
