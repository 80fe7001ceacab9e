// The store that is measured: many sequences of tiny pages.

internal import Foundation
internal import PrefixStore

/// Makes and measures a store of sequences that begin differently.
struct LookupStore {
    static let pageSize = 64
    static let pagesPerSequence = 128
    /// First tokens of sequences are below; those of misses above.
    private static let vocabulary: UInt32 = 128_256

    let path: String
    let sequences: Int
    private let identity: ModelIdentity
    private let bytesPerPage: Int

    init(path: String, sequences: Int) throws {
        self.path = path
        self.sequences = sequences
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 4, element: .bf16, pageSize: Self.pageSize)
        let digest = Digest.sha256(Array("lookup".utf8))
        identity = try ModelIdentity(
            weights: digest, layout: layout, positions: "none", tokenizer: digest, engine: "lookup", engineFormat: 1)
        bytesPerPage = layout.bytesPerPage
    }

    /// Token ids of sequence `number`.
    private func tokens(_ number: Int) -> [TokenID] {
        var state = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
        return (0..<Self.pageSize * Self.pagesPerSequence).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return TokenID(truncatingIfNeeded: state >> 33) % Self.vocabulary
        }
    }

    private func withStore<R>(hot: ByteCount, _ body: (Store, Space) throws -> R) throws -> R {
        let store = try Store(
            at: path, options: StoreOptions(quota: .gibibytes(64), hotCapacity: hot, codec: .raw))
        defer { try? store.close() }
        return try body(store, try store.space(identity))
    }

    private func insert(_ tokens: [TokenID], into space: Space) throws {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: bytesPerPage, alignment: 64)
        defer { unsafe bytes.deallocate() }
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0x3F, count: bytesPerPage)
        let source = unsafe PageSource(bytes, capacity: Self.pageSize)
        try space.insert(tokens) { _ in source }
    }

    /// Seconds that it took.
    func fill() throws -> Double {
        let start = Date()
        try withStore(hot: .zero) { store, space in
            for number in 0..<sequences { try insert(tokens(number), into: space) }
            try store.flush()
        }
        return Date().timeIntervalSince(start)
    }

    /// Median of the milliseconds until a space can be used, in a new environment.
    func timeToOpen() throws -> Double {
        var times: [Double] = []
        for _ in 0..<9 {
            let start = DispatchTime.now().uptimeNanoseconds
            try withStore(hot: .mebibytes(64)) { _, _ in
                times.append(Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6)
            }
        }
        return times.sorted()[times.count / 2]
    }

    func measureCold(_ figures: inout Figures) throws {
        try withStore(hot: .zero) { store, space in
            let all = (0..<min(sequences, 256)).map { tokens($0 * sequences / min(sequences, 256)) }
            let misses = (0..<256).map { number in
                [Self.vocabulary + TokenID(number)] + tokens(sequences + number).dropFirst()
            }
            let first = all.indices.map { [all[$0][0]] + tokens(sequences + $0).dropFirst() }
            for tokens in all { try expect(space, tokens, tokens.count) }
            figures.cold8192 = try measure(1000) { try expect(space, all[$0 % all.count], all[0].count) }
            let halves = all.map { Array($0[..<(all[0].count / 2)]) }
            figures.cold4096 = try measure(1000) { try expect(space, halves[$0 % all.count], halves[0].count) }
            figures.miss = try measure(4000) { try expect(space, misses[$0 % 256], 0) }
            figures.onlyFirstToken = try measure(4000) { try expect(space, first[$0 % all.count], 1) }
        }
    }

    func measureHot(_ figures: inout Figures) throws {
        try withStore(hot: .mebibytes(64)) { store, space in
            let all = (0..<min(sequences, 16)).map { tokens($0) }
            for tokens in all { try insert(tokens, into: space) }
            figures.hot8192 = try measure(1000) { try expect(space, all[$0 % all.count], all[0].count) }
            let halves = all.map { Array($0[..<(all[0].count / 2)]) }
            figures.hot4096 = try measure(1000) { try expect(space, halves[$0 % all.count], halves[0].count) }
        }
    }

    private func expect(_ space: Space, _ tokens: [TokenID], _ found: Int) throws {
        let match = try space.match(tokens)
        let count = match.tokenCount
        guard count >= found, found > 0 || count == 0 else { throw Wrong(found: count, expected: found) }
    }

    /// The store gave a wrong answer. Then no figure is worth anything.
    private struct Wrong: Error {
        let found: Int
        let expected: Int
    }
}
