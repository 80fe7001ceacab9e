// The room that a caller names is compared with what a call needs, before anything is read or written.

import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("The memory of a page")
struct MemoryTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<40).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    private func withSpace(_ body: (Space, UnsafeMutableRawPointer) throws -> Void) throws {
        let store = try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(8), hotCapacity: .mebibytes(2)))
        let space = try store.space(model.identity)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 * model.layout.bytesPerPage, alignment: 64)
        defer { unsafe memory.deallocate() }
        if let base = memory.baseAddress { try unsafe body(space, base) }
        try store.close()
    }

    @Test("with less room than a page's tokens is refused by insert and by load, and nothing is touched")
    func capacity() throws {
        try unsafe withSpace { space, base in
            let whole = unsafe PageSource(base, capacity: 16)
            let short = unsafe PageSource(base, capacity: 15)
            #expect(throws: StoreError.self) { try space.insert(tokens, pages: [whole, short, whole]) }
            #expect(try space.match(tokens).tokenCount == 0)
            // A tail needs room for its own 8 tokens only.
            let tail = unsafe PageSource(base, capacity: 8)
            #expect(try space.insert(tokens, pages: [whole, whole, tail]) == 3)
            let match = try space.match(tokens)
            let targets = [16, 15, 16].map { unsafe PageTarget(base, capacity: $0) }
            unsafe base.storeBytes(of: 0x5A, as: UInt8.self)
            #expect(throws: StoreError.self) { try space.load(match, into: targets) }
            #expect(unsafe base.load(as: UInt8.self) == 0x5A)
            #expect(try space.load(match, into: targets, limit: 31).tokens == 31)
        }
    }

    @Test("with another number of tensors than the layout's planes is refused")
    func planes() throws {
        try unsafe withSpace { space, base in
            let count = model.layout.planeCount
            let list = UnsafeMutableBufferPointer<UnsafeRawPointer>.allocate(capacity: count + 1)
            defer { unsafe list.deallocate() }
            unsafe list.initialize(repeating: UnsafeRawPointer(base))
            func page(_ tensors: Int, _ offset: Int, capacity: Int) -> PageSource {
                let tensors = unsafe UnsafeBufferPointer(rebasing: list[..<tensors])
                return unsafe PageSource(planes: tensors, tokenOffset: offset, capacity: capacity)
            }
            let first = Array(tokens.prefix(16))
            for wrong in [
                page(0, 0, capacity: 16), page(count - 1, 0, capacity: 16), page(count + 1, 0, capacity: 16),
                page(count, 1, capacity: 16), page(count, -1, capacity: 16),
            ] {
                #expect(throws: StoreError.self) { try space.insert(first, pages: [wrong]) }
            }
            let inserted = try space.insert(first, pages: [page(count, 1, capacity: 17)])
            #expect(inserted == 1)
        }
    }

    @Test("of blocks has no space that is found by token ids")
    func blocks() throws {
        let store = try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(8), hotCapacity: .mebibytes(2)))
        var identity = model.identity
        identity.layout = .blocks(element: .bf16)
        #expect(throws: StoreError.invalidLayout("blocks are not found by token ids")) { try store.space(identity) }
        try store.close()
    }
}
