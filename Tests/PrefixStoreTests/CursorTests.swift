// Sequences that are written as they grow.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A cursor")
struct CursorTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<100).map { TokenID($0 + 3) }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    func open(hot: ByteCount) throws -> Store {
        try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: hot))
    }

    /// Cells with the rows of all tokens; row 100 - t is that of token t, so that nothing lies in order.
    func cells() -> Cells {
        let cells = Cells(model.layout, capacity: 101, gap: 2)
        for token in tokens.indices {
            for plane in 0..<model.layout.planeCount {
                cells[plane, 100 - token] = model.row(tokens, token: token, plane: plane)
            }
        }
        return cells
    }

    func append(_ range: Range<Int>, to cursor: SequenceCursor, from cells: Cells) throws -> Int {
        try cells.withRows(at: range.map { UInt32(100 - $0) }) { rows in
            try cursor.append(Array(tokens[range]), rows: rows)
        }
    }

    @Test("stores the pages of a sequence that comes in parts of any size", arguments: [1, 5, 16, 17, 40, 100])
    func parts(_ size: Int) throws {
        // With a queue of 1 byte no page can wait to be encoded: the inserting thread encodes rows that lie anywhere.
        let queue = ByteCount.mebibytes(256)
        for (hot, queue) in [(ByteCount.zero, queue), (.mebibytes(4), queue), (.mebibytes(4), ByteCount(1))] {
            let folder = try TemporaryFolder()
            let options = StoreOptions(quota: .mebibytes(64), hotCapacity: hot, queueCapacity: queue)
            let store = try Store(at: folder.path("store"), options: options)
            let space = try store.space(model.identity)
            let cursor = try space.cursor()
            let cells = cells()
            var fresh = 0
            for start in stride(from: 0, to: 100, by: size) {
                fresh += try append(start..<min(start + size, 100), to: cursor, from: cells)
            }
            #expect(fresh == 6 && cursor.tokenCount == 100 && cursor.place.tokens == 96)
            #expect(try cursor.storeTail())
            try store.flush()
            #expect(store.statistics.insertedPages == 7)
            let read = try space.loadGenerated(tokens, by: model)
            #expect(read.loaded.tokens == 100 && read.wrongBytes == 0)
            try store.close()
        }
    }

    @Test("goes on behind a tail that it has stored, and a longer page takes that one's place")
    func tail() throws {
        let store = try open(hot: .mebibytes(4))
        let space = try store.space(model.identity)
        let cursor = try space.cursor()
        let cells = cells()
        _ = try append(0..<20, to: cursor, from: cells)
        #expect(try cursor.storeTail())
        #expect(try !cursor.storeTail())
        #expect(try space.match(tokens).tokenCount == 20)
        _ = try append(20..<100, to: cursor, from: cells)
        #expect(try cursor.storeTail())
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded.tokens == 100 && read.wrongBytes == 0)
        try store.close()
    }

    @Test("begins behind the whole pages of a load, and stores only what is new")
    func afterLoad() throws {
        var store = try open(hot: .zero)
        try store.space(model.identity).insertGenerated(Array(tokens[..<50]), by: model)
        try store.close()
        store = try open(hot: .zero)
        let space = try store.space(model.identity)
        let match = try space.match(tokens)
        let loaded = try Cells(model.layout, capacity: 50).withRows { try match.load(0..<50, into: $0) }
        let cursor = try space.cursor(after: loaded.place)
        #expect(cursor.tokenCount == 48)
        #expect(try append(48..<100, to: cursor, from: cells()) == 3)
        #expect(try cursor.storeTail())
        try store.flush()
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded.tokens == 100 && read.wrongBytes == 0)
        try store.close()
    }

    @Test("writes nothing twice: a sequence that is stored has no new pages")
    func again() throws {
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        #expect(try append(0..<96, to: space.cursor(), from: cells()) == 6)
        try store.flush()
        #expect(try append(0..<96, to: space.cursor(), from: cells()) == 0)
        try store.close()
    }

    @Test("refuses rows and tokens that do not fit, and is where it was afterwards")
    func misfits() throws {
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        let cursor = try space.cursor()
        let cells = cells()
        #expect(try cells.withRows { try cursor.append([], rows: $0) } == 0)
        #expect(throws: StoreError.self) { try cells.withRows(first: 2) { try cursor.append(tokens, rows: $0) } }
        let lacking = Cells(model.layout, capacity: 100, leavingOut: [1])
        #expect(throws: StoreError.self) { try lacking.withRows { try cursor.append(tokens, rows: $0) } }
        #expect(throws: StoreError.invalidTokens(count: Limits.tokens + 1)) {
            let many = [TokenID](repeating: 1, count: Limits.tokens + 1)
            _ = try cells.withRows { try cursor.append(many, rows: $0) }
        }
        #expect(cursor.tokenCount == 0)
        let other = try store.space(GeneratedModel("other").identity)
        #expect(throws: StoreError.self) { _ = try other.cursor(after: cursor.place) }
        try store.close()
        #expect(throws: StoreError.closed) { _ = try cells.withRows { try cursor.append(tokens, rows: $0) } }
        #expect(throws: StoreError.closed) { try cursor.storeTail() }
        #expect(throws: StoreError.closed) { _ = try space.cursor() }
    }

    @Test("of an opaque layout stores whole pages and no tail")
    func opaque() throws {
        let model = try GeneratedModel("opaque", layout: .opaque(bytesPerPage: 256, pageSize: 16))
        let store = try open(hot: .zero)
        let space = try store.space(model.identity)
        let cursor = try space.cursor()
        let cells = Cells(model.layout, capacity: 20)
        #expect(try cells.withRows { try cursor.append(Array(tokens[..<20]), rows: $0) } == 1)
        #expect(throws: StoreError.self) { try cursor.storeTail() }
        try store.close()
    }
}
