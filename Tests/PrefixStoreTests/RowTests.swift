// Rows that lie anywhere in an engine's memory: loads of any tokens and planes, and cursors.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

/// An engine's cells: one tensor per plane, with gaps between rows where asked, filled with a byte that says
/// "untouched".
@safe
final class Cells {
    let layout: KVLayout
    let capacity: Int
    let strides: [Int]
    private let tensors: [UnsafeMutableRawBufferPointer]
    private let addresses: UnsafeMutableBufferPointer<UnsafeMutableRawPointer?>
    static let untouched: UInt8 = 0xA5

    init(_ layout: KVLayout, capacity: Int, gap: Int = 0, leavingOut: Set<Int> = []) {
        self.layout = layout
        self.capacity = capacity
        strides = (0..<layout.planeCount).map { layout.bytesPerToken(inPlane: $0) + gap }
        unsafe tensors = strides.map { stride in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity * stride, alignment: 64)
            unsafe buffer.initializeMemory(as: UInt8.self, repeating: Self.untouched)
            return unsafe buffer
        }
        unsafe addresses = .allocate(capacity: layout.planeCount)
        for plane in 0..<layout.planeCount {
            unsafe addresses[plane] = leavingOut.contains(plane) ? nil : tensors[plane].baseAddress
        }
    }

    deinit {
        for index in unsafe tensors.indices { unsafe tensors[index].deallocate() }
        unsafe addresses.deallocate()
    }

    func withRows<R>(first: Int = 0, _ body: (RowMemory) throws -> R) rethrows -> R {
        try unsafe body(
            RowMemory(planes: UnsafeBufferPointer(addresses), strides: strides, capacity: capacity, first: first))
    }

    func withRows<R>(at index: [UInt32], _ body: (RowMemory) throws -> R) rethrows -> R {
        try unsafe index.withUnsafeBufferPointer { index in
            try unsafe body(
                RowMemory(planes: UnsafeBufferPointer(addresses), strides: strides, capacity: capacity, index: index))
        }
    }

    subscript(plane: Int, row: Int) -> [UInt8] {
        get {
            let start = row * strides[plane]
            return unsafe Array(tensors[plane][start..<start + layout.bytesPerToken(inPlane: plane)])
        }
        set {
            for (offset, byte) in newValue.enumerated() {
                unsafe tensors[plane][row * strides[plane] + offset] = byte
            }
        }
    }

    /// Bytes that nobody has written, in all tensors.
    var untouchedBytes: Int {
        unsafe tensors.reduce(0) { sum, tensor in unsafe sum + tensor.count { $0 == Self.untouched } }
    }
}

extension GeneratedModel {
    /// The row of token `token` in plane `plane`.
    func row(_ tokens: [TokenID], token: Int, plane: Int) -> [UInt8] {
        let page = token / layout.pageSize
        let held = min(layout.pageSize, tokens.count - page * layout.pageSize)
        let size = layout.bytesPerToken(inPlane: plane)
        let start = held * layout.bytesPerToken(beforePlane: plane) + (token - page * layout.pageSize) * size
        return Array(pageBytes(tokens, page: page)[start..<start + size])
    }
}

@Suite("Rows of any tokens and planes")
struct RowTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<100).map { TokenID($0 + 7) }

    init() throws {
        folder = try TemporaryFolder()
        // Planes of different widths: a page of 16 tokens is three frames or so.
        let planes = (0..<3).flatMap { layer in
            [
                KVPlane(layer: layer, rowBytes: 64, element: .bf16),
                KVPlane(layer: layer, rowBytes: 34 * (layer + 1), element: .q8x0, window: layer == 2 ? 32 : 0),
            ]
        }
        model = try GeneratedModel(layout: KVLayout(planes: planes, pageSize: 16))
        let store = try open(hot: .zero)
        try store.space(model.identity).insertGenerated(tokens, by: model)
        try store.close()
    }

    func open(hot: ByteCount, promotes: Bool = true) throws -> Store {
        try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: hot, codec: .kbit, promotes: promotes))
    }

    /// Loads tokens and says in how many rows they differ from what the model generates.
    func wrongRows(_ space: Space, _ range: Range<Int>, _ cells: Cells, rows: RowMemory, row: (Int) -> Int) throws
        -> Int
    {
        let loaded = try space.match(tokens).load(range, into: rows)
        #expect(loaded.tokens == range.count)
        var wrong = 0
        for token in range {
            for plane in 0..<model.layout.planeCount where rows.isWanted(plane, in: cells) {
                if cells[plane, row(token)] != model.row(tokens, token: token, plane: plane) { wrong += 1 }
            }
        }
        return wrong
    }

    @Test(
        "come from disk and from RAM, byte for byte, and nothing beside them is written",
        arguments: [0..<100, 5..<23, 16..<32, 99..<100, 31..<97, 7..<8])
    func ranges(_ range: Range<Int>) throws {
        for hot in [ByteCount.zero, .mebibytes(4)] {
            let store = try open(hot: hot)
            let space = try store.space(model.identity)
            // The second round finds in RAM what the first has promoted.
            if hot > .zero { _ = try space.loadGenerated(tokens, by: model) }
            for gap in [0, 6] {
                let cells = Cells(model.layout, capacity: 128, gap: gap)
                let wrong = try cells.withRows(first: 11) { rows in
                    try wrongRows(space, range, cells, rows: rows) { $0 - range.lowerBound + 11 }
                }
                #expect(wrong == 0)
                let untouched = (128 - range.count) * model.layout.bytesPerToken + 128 * gap * model.layout.planeCount
                #expect(cells.untouchedBytes >= untouched)
            }
            try store.close()
        }
    }

    @Test("go to the cells that an index names, in any order")
    func index() throws {
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        let cells = Cells(model.layout, capacity: 200, gap: 2)
        let index = (0..<60).map { UInt32(($0 * 67 + 13) % 200) }
        let wrong = try cells.withRows(at: index) { rows in
            try wrongRows(space, 25..<85, cells, rows: rows) { Int(index[$0 - 25]) }
        }
        #expect(wrong == 0)
        try store.close()
    }

    @Test("leave out planes without an address, which stay as they were")
    func planes() throws {
        for hot in [ByteCount.zero, .mebibytes(4)] {
            let store = try open(hot: hot)
            let space = try store.space(model.identity)
            if hot > .zero { _ = try space.loadGenerated(tokens, by: model) }
            let cells = Cells(model.layout, capacity: 100, leavingOut: [0, 1, 2, 3])
            let wrong = try cells.withRows { rows in try wrongRows(space, 68..<100, cells, rows: rows) { $0 - 68 } }
            #expect(wrong == 0)
            let others = (0..<4).reduce(0) { $0 + 100 * model.layout.bytesPerToken(inPlane: $1) }
            #expect(cells.untouchedBytes >= others)
            try store.close()
        }
    }

    @Test("that were loaded whole are kept in RAM, in whatever memory they went to")
    func promotes() throws {
        let store = try open(hot: .mebibytes(4))
        let space = try store.space(model.identity)
        let cells = Cells(model.layout, capacity: 100, gap: 4)
        #expect(try cells.withRows { rows in try wrongRows(space, 0..<96, cells, rows: rows) { $0 } } == 0)
        store.finishPromotions()
        #expect(try space.match(tokens).tokensByTier == TokensByTier(hot: 96, cold: 4))
        #expect(try space.loadGenerated(tokens, by: model).wrongBytes == 0)
        try store.close()
    }

    @Test("say from where the sequence goes on")
    func place() throws {
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        let cells = Cells(model.layout, capacity: 100)
        let match = try space.match(tokens)
        let loaded = try cells.withRows { try match.load(20..<70, into: $0) }
        #expect(loaded.tokens == 50 && loaded.place.tokens == 64)
        try store.close()
    }

    @Test("are refused where memory, index or range do not fit, and nothing is written then")
    func misfits() throws {
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        let cells = Cells(model.layout, capacity: 50)
        let match = try space.match(tokens)
        let other = Cells(try KVLayout(layers: 1, kvHeads: 1, headDimension: 8, element: .bf16), capacity: 50)
        let attempts = [
            (0..<51, cells, 0), (0..<1, cells, 50), (0..<1, cells, -1), (0..<101, cells, 0), (-1..<3, cells, 0),
            (0..<2, cells, .max), (0..<1, other, 0),
            (0..<1, Cells(model.layout, capacity: 1, leavingOut: Set(0..<6)), 0),
        ]
        for (range, cells, first) in attempts {
            cells.withRows(first: first) { rows in
                _ = #expect(throws: StoreError.self, "\(range)") { _ = try match.load(range, into: rows) }
            }
        }
        for index in [[UInt32(50)], [UInt32.max], []] {
            cells.withRows(at: index) { rows in
                _ = #expect(throws: StoreError.self, "\(index)") { _ = try match.load(0..<1, into: rows) }
            }
        }
        #expect(cells.untouchedBytes == 50 * model.layout.bytesPerToken)
        #expect(try cells.withRows { try match.load(40..<40, into: $0).tokens } == 0)
        try store.close()
    }

    @Test("of an opaque layout are whole pages")
    func opaque() throws {
        let model = try GeneratedModel("opaque", layout: .opaque(bytesPerPage: 256, pageSize: 16))
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        try space.insertGenerated(Array(tokens[..<96]), by: model)
        try store.flush()
        let match = try space.match(tokens)
        let cells = Cells(model.layout, capacity: 100, gap: 3)
        try cells.withRows { (rows) throws in
            #expect(try match.load(32..<64, into: rows).tokens == 32)
            #expect(cells[0, 31] == model.row(Array(tokens[..<96]), token: 63, plane: 0))
            #expect(throws: StoreError.self) { _ = try match.load(32..<63, into: rows) }
            #expect(throws: StoreError.self) { _ = try match.load(1..<32, into: rows) }
        }
        try store.close()
    }
}

extension RowMemory {
    /// Whether a test gave this plane an address: it shows by its first row.
    fileprivate func isWanted(_ plane: Int, in cells: Cells) -> Bool { has(plane: plane) }
}
