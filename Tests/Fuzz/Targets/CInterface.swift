// The door of the C library: structs, counts and sizes as a program in C may give them.

import CPrefixStore
import Foundation
import TestKit

extension FuzzTarget {
    /// Fields of an identity and a layout; then calls with counts and token ids.
    static let capi = FuzzTarget(
        name: "capi", subject: "the C library: identities, layouts, counts and sizes", longest: 512,
        seeds: {
            let layout: [UInt8] = [0, 16, 0, 2, 0, 0, 64, 0, 1, 0, 1, 64, 0, 1, 0]
            return [[0] + layout + [1, 20, 0, 3, 20, 0, 2, 20, 0], [7] + layout + [5, 4, 9, 0, 255, 255]]
        },
        run: { input in CDoor.shared.use(&input) })
}

/// One store for all inputs of a process, and memory that every count of a call may reach.
@safe
private final class CDoor: @unchecked Sendable {
    // Unchecked: libFuzzer calls from one thread.
    static let shared = CDoor()

    private let store: OpaquePointer?
    private let planes: UnsafeMutablePointer<pfx_plane>
    private let tokens: UnsafeMutablePointer<Int32>
    private let rows = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 64)
    private static let mostPlanes = 4097
    private static let mostTokens = 65_535

    private init() {
        unsafe planes = .allocate(capacity: Self.mostPlanes)
        unsafe planes.initialize(repeating: pfx_plane(), count: Self.mostPlanes)
        unsafe tokens = .allocate(capacity: Self.mostTokens)
        for index in 0..<Self.mostTokens { unsafe tokens[index] = Int32(index % 7) }
        unsafe rows.initializeMemory(as: UInt8.self, repeating: 7, count: 1 << 20)
        var options = unsafe pfx_options()
        unsafe options.size = MemoryLayout<pfx_options>.size
        unsafe options.quota = 16 << 20
        var opened: OpaquePointer?
        let status = unsafe pfx_open(Scratch.folder.path("c-store"), &options, &opened)
        precondition(status == 0, "a store can be opened")
        unsafe store = unsafe opened
    }

    func use(_ input: inout FuzzInput) {
        var identity = unsafe identity(&input)
        var layout = unsafe layout(&input)
        var space: OpaquePointer?
        let status = unsafe pfx_space_open(store, &identity, &layout, &space)
        unsafe input.require((status == 0) == (space != nil), "a handle comes with success and with nothing else")
        input.require(status <= 0, "a code is 0 or negative")
        while !input.isEmpty { unsafe call(space, layout, &input) }
        unsafe pfx_space_close(space)
        unsafe input.plant(status == 0 && layout.plane_count == 3)
    }

    @unsafe
    private func identity(_ input: inout FuzzInput) -> pfx_identity {
        let choice = input.byte()
        var identity = unsafe pfx_identity()
        unsafe identity.size = MemoryLayout<pfx_identity>.size - (choice & 8)
        unsafe withUnsafeMutableBytes(of: &identity.weights) { unsafe $0[0] = choice & 16 == 0 ? 1 : 0 }
        unsafe withUnsafeMutableBytes(of: &identity.tokenizer) { unsafe $0[0] = 1 }
        if choice & 32 == 0 { unsafe identity.positions = unsafe UnsafePointer(Self.text) }
        unsafe identity.engine = unsafe UnsafePointer(Self.text)
        unsafe identity.engine_format = UInt32(choice & 3)
        unsafe identity.tensor_rank = choice & 64 == 0 ? 0 : .max
        unsafe identity.tensor_size = choice & 128 == 0 ? 1 : 2
        return unsafe identity
    }

    nonisolated(unsafe) private static let text: UnsafeMutablePointer<CChar> = unsafe strdup("fuzz")

    @unsafe
    private func layout(_ input: inout FuzzInput) -> pfx_layout {
        var layout = unsafe pfx_layout()
        unsafe layout.size = MemoryLayout<pfx_layout>.size
        unsafe layout.page_tokens = UInt32(input.word())
        let count = input.word()
        // More planes than there is memory for are more than the library takes.
        unsafe layout.plane_count = count > Self.mostPlanes ? .max : UInt32(count)
        unsafe layout.plane_size = MemoryLayout<pfx_plane>.stride
        unsafe layout.planes = unsafe UnsafePointer(planes)
        for index in 0..<min(count, 8) {
            unsafe planes[index].layer = UInt32(input.byte())
            unsafe planes[index].row_bytes = UInt32(input.word()) << UInt32(input.byte() & 24)
            unsafe planes[index].element = UInt32(input.byte())
        }
        return unsafe layout
    }

    @unsafe
    private func call(_ space: OpaquePointer?, _ layout: pfx_layout, _ input: inout FuzzInput) {
        let number = input.byte()
        let given = input.word()
        let count = given == Self.mostTokens ? Int.max : given
        var match: OpaquePointer?
        switch number & 7 {
        case 0: unsafe tokens[given % Self.mostTokens] = Int32(bitPattern: UInt32(input.word()) << 16)
        case 1: _ = unsafe pfx_match_prefix(space, tokens, count, &match)
        case 2: unsafe append(space, layout, count)
        case 3: _ = unsafe pfx_explain(space, tokens, count, nil, 0)
        case 4: _ = unsafe pfx_side_put(space, tokens, count, Self.text, rows, min(count, 4096))
        case 5: _ = unsafe pfx_pin(space, tokens, count)
        case 6: _ = unsafe pfx_expire(space, tokens, count, Int64(input.word()) << 48)
        default: _ = unsafe pfx_record_prefill(space, UInt64(count), .max)
        }
        guard unsafe match != nil else { return }
        var info = pfx_match_info()
        info.size = MemoryLayout<pfx_match_info>.size
        _ = unsafe pfx_match_get_info(match, &info)
        unsafe pfx_match_end(match)
    }

    /// Appends to a sequence, with rows for which there is memory.
    @unsafe
    private func append(_ space: OpaquePointer?, _ layout: pfx_layout, _ count: Int) {
        var sequence: OpaquePointer?
        guard unsafe pfx_seq_begin(space, nil, 0, &sequence) >= 0 else { return }
        let number = unsafe Int(min(layout.plane_count, 8))
        let widest = (0..<number).map { unsafe Int(planes[$0].row_bytes) }.max() ?? 0
        if count == .max || widest * count < 1 << 20, unsafe number == layout.plane_count {
            let addresses = unsafe [UnsafeMutableRawPointer?](repeating: rows, count: number)
            unsafe addresses.withUnsafeBufferPointer { addresses in
                var given = unsafe pfx_rows()
                unsafe given.size = MemoryLayout<pfx_rows>.size
                unsafe given.planes = addresses.baseAddress
                unsafe given.plane_count = number
                unsafe given.capacity = count
                _ = unsafe pfx_seq_append(sequence, tokens, count, &given)
            }
            _ = unsafe pfx_seq_store_tail(sequence)
        }
        unsafe pfx_seq_end(sequence)
    }
}
