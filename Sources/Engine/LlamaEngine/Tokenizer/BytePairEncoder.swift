// Byte pair encoding of one word: start with its bytes, join the pair of lowest rank, leftmost first, until none is
// left.
//
// Words come from prompts, so a word may be a megabyte: a heap keeps the cost at n log n.

/// The vocabulary and merges of a byte-level tokenizer.
struct BytePairEncoder: Sendable {
    /// Tokens as bytes; their numbers index `ids`.
    private let words: ByteStringTable
    private let ids: [UInt32]
    /// The token of each single byte.
    private let byteIDs: [UInt32]
    /// Left and right id, packed, to rank and joined id, packed.
    private let merges: [UInt64: UInt64]
    /// Whether a word that is a token is encoded as that token, regardless of the merges.
    private let ignoresMerges: Bool

    private static let noRank = UInt32.max

    /// Takes the vocabulary (bytes and id of each token) and the merges (left and right part as bytes) in rank order.
    ///
    /// - Throws: `.unsupportedTokenizer` when a byte has no token, `.invalidField` when a merge's parts or result are
    ///   not tokens.
    init(
        vocabulary: [(bytes: [UInt8], id: UInt32)], merges: [(left: [UInt8], right: [UInt8])], ignoresMerges: Bool
    ) throws(EngineError) {
        var words = ByteStringTable(capacity: vocabulary.count)
        var ids: [UInt32] = []
        for (bytes, id) in vocabulary {
            guard words.insert(bytes.span) == ids.count else {
                throw .invalidField(file: Tokenizer.fileName, field: "model.vocab", reason: "spells a token twice")
            }
            ids.append(id)
        }
        var byteIDs: [UInt32] = []
        for byte in UInt8.min...UInt8.max {
            guard let number = words.number(of: [byte].span) else {
                throw .unsupportedTokenizer("a vocabulary that lacks the token of a single byte")
            }
            byteIDs.append(ids[number])
        }
        var table: [UInt64: UInt64] = [:]
        table.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() {
            guard let left = words.number(of: merge.left.span), let right = words.number(of: merge.right.span),
                let joined = words.number(of: (merge.left + merge.right).span)
            else {
                throw .invalidField(
                    file: Tokenizer.fileName, field: "model.merges",
                    reason: "joins tokens that are not in the vocabulary")
            }
            table[Self.pack(ids[left], ids[right])] = Self.pack(UInt32(rank), ids[joined])
        }
        self.words = words
        self.ids = ids
        self.byteIDs = byteIDs
        self.merges = table
        self.ignoresMerges = ignoresMerges
    }

    /// Appends the tokens of `word`, which is not empty, to `result`.
    func encode(_ word: Span<UInt8>, into result: inout [UInt32]) {
        if word.count == 1 {
            result.append(byteIDs[Int(word[0])])
            return
        }
        if ignoresMerges, let number = words.number(of: word) {
            result.append(ids[number])
            return
        }
        var symbols = SymbolList(word, byteIDs: byteIDs)
        var heap = MinHeap()
        for position in 0..<word.count - 1 { rank(position, &symbols, &heap) }
        while let (rank, position) = heap.popLowest() {
            // An entry whose pair has changed since it was pushed no longer has its rank.
            guard symbols.ranks[position] == rank else { continue }
            symbols.join(position)
            self.rank(position, &symbols, &heap)
            let previous = symbols.previous[position]
            if previous >= 0 { self.rank(Int(previous), &symbols, &heap) }
        }
        symbols.append(to: &result)
    }

    /// Looks up the pair that begins at `position` and queues it when it can be joined.
    private func rank(_ position: Int, _ symbols: inout SymbolList, _ heap: inout MinHeap) {
        let next = Int(symbols.next[position])
        guard next < symbols.ids.count, let merge = merges[Self.pack(symbols.ids[position], symbols.ids[next])] else {
            symbols.ranks[position] = Self.noRank
            return
        }
        symbols.ranks[position] = UInt32(merge >> 32)
        symbols.joined[position] = UInt32(truncatingIfNeeded: merge)
        heap.push(rank: symbols.ranks[position], position: position)
    }

    private static func pack(_ high: UInt32, _ low: UInt32) -> UInt64 { UInt64(high) << 32 | UInt64(low) }
}

/// The symbols of a word as a doubly linked list over its byte positions.
private struct SymbolList {
    var ids: [UInt32]
    /// Position of the symbol before, or -1.
    var previous: [Int32]
    /// Position of the symbol behind, or the word's length.
    var next: [Int32]
    /// Rank of the pair that begins here.
    var ranks: [UInt32]
    /// The token that the pair becomes.
    var joined: [UInt32]

    init(_ word: Span<UInt8>, byteIDs: [UInt32]) {
        let count = word.count
        precondition(count < Int32.max)
        ids = word.indices.map { byteIDs[Int(word[$0])] }
        previous = (0..<count).map { Int32($0) - 1 }
        next = (0..<count).map { Int32($0) + 1 }
        ranks = [UInt32](repeating: .max, count: count)
        joined = [UInt32](repeating: 0, count: count)
    }

    /// Joins the symbol at `position` with the one behind it.
    mutating func join(_ position: Int) {
        let gone = Int(next[position])
        ids[position] = joined[position]
        next[position] = next[gone]
        ranks[gone] = .max
        if Int(next[position]) < ids.count { previous[Int(next[position])] = Int32(position) }
    }

    func append(to result: inout [UInt32]) {
        var position = 0
        while position < ids.count {
            result.append(ids[position])
            position = Int(next[position])
        }
    }
}

/// A binary heap of (rank, position): the lowest rank first, and of equal ranks the leftmost.
private struct MinHeap {
    private var keys: [UInt64] = []

    mutating func push(rank: UInt32, position: Int) {
        keys.append(UInt64(rank) << 32 | UInt64(position))
        var child = keys.count - 1
        while child > 0, keys[child] < keys[(child - 1) / 2] {
            keys.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popLowest() -> (rank: UInt32, position: Int)? {
        guard let lowest = keys.first else { return nil }
        let last = keys.removeLast()
        if !keys.isEmpty {
            keys[0] = last
            sink()
        }
        return (UInt32(lowest >> 32), Int(lowest & 0xFFFF_FFFF))
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < keys.count else { return }
            if child + 1 < keys.count, keys[child + 1] < keys[child] { child += 1 }
            guard keys[child] < keys[parent] else { return }
            keys.swapAt(parent, child)
            parent = child
        }
    }
}
