// Look-ups in an object store: which pages of a chain are there, and in which packs.
//
// A host knows the hashes of a prompt's pages and nothing else. So an index object has a key that is made of a page's
// hash. A pack has few of them: one for each page whose parent is not the page before it in the pack, and one for each
// milestone, a page whose hash says so, on average every eighth. Who looks for a page asks for its own key and for
// those of the milestones around it, all at once; each index names all pages of its pack. What is between known pages
// is asked for in the next round, twice as many pages at once as in the round before.

internal import KVFormat
internal import PageCodec
internal import Threads

extension S3Client {
    /// Index objects that are asked for at once.
    private static let questions = 64

    /// Whether a page has an index object wherever it is in its pack: one in eight pages.
    static func isMilestone(_ hash: PrefixHash) -> Bool { hash.prefixWord & 7 == 0 }

    func leading(_ chain: [PrefixHash], behind earlier: [PrefixHash], _ patience: Patience) -> LeadingPages {
        // A pack may have begun before the chain: then it has the last milestone, or begins behind it.
        let start = earlier.lastIndex { Self.isMilestone($0) } ?? 0
        return search([chain], and: Array(earlier[start...]), isLeading: true, patience).found
    }

    func held(_ chains: [[PrefixHash]], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash> {
        if let fault = search(chains, and: [], isLeading: false, patience).fault { throw fault }
        let now = SystemClock.monotonicNanoseconds()
        return state.withLock { state in
            Set(chains.joined().filter { state.packs.place(of: $0, at: now) != nil })
        }
    }

    /// Learns the places of pages.
    ///
    /// - Parameters:
    ///   - chains: in each of them a page is the child of the one before.
    ///   - others: pages that are asked for in the first round too.
    ///   - isLeading: whether what follows a page that is not there is of no use.
    /// - Returns: what is there of the first chain, and why the search has ended early.
    func search(
        _ chains: [[PrefixHash]], and others: [PrefixHash], isLeading: Bool, _ patience: Patience
    ) -> (found: LeadingPages, fault: RemoteFault?) {
        var asked: Set<PrefixHash> = []
        var wanted = gaps(in: others).flatMap { $0 }
        var width = 1
        var found = LeadingPages()
        while true {
            let unknown = chains.map { gaps(in: $0) }
            let first = unknown.first?.first
            found.count = first?.startIndex ?? chains.first?.count ?? 0
            found.isSure = first?.first.map { asked.contains($0) } ?? true
            if isLeading, found.isSure { return (found, nil) }
            // A gap whose first page is not there is left alone.
            for gap in unknown.joined() where gap.first.map({ !asked.contains($0) }) ?? false {
                wanted += gap.prefix(width)
                wanted += gap.dropFirst(width).filter { Self.isMilestone($0) }
            }
            var questions: [PrefixHash] = []
            for hash in wanted where questions.count < Self.questions && asked.insert(hash).inserted {
                questions.append(hash)
            }
            guard !questions.isEmpty else { return (found, nil) }
            found.questions += 1
            if let fault = ask(questions, patience) {
                found.isLate = fault == .late
                found.isSure = false
                found.count = chains.first.map { gaps(in: $0).first?.startIndex ?? $0.count } ?? 0
                return (found, fault)
            }
            wanted = []
            width *= 2
        }
    }

    /// The longest parts of a chain without a page whose place is known.
    func gaps(in chain: [PrefixHash]) -> [ArraySlice<PrefixHash>] {
        let now = SystemClock.monotonicNanoseconds()
        let isKnown = state.withLock { state in chain.map { state.packs.place(of: $0, at: now) != nil } }
        var gaps: [ArraySlice<PrefixHash>] = []
        var start = 0
        while let first = isKnown[start...].firstIndex(of: false) {
            let end = isKnown[first...].firstIndex(of: true) ?? chain.count
            gaps.append(chain[first..<end])
            start = end
        }
        return gaps
    }

    private func ask(_ hashes: [PrefixHash], _ patience: Patience) -> RemoteFault? {
        run(hashes.map { indexCall($0) }, patience) { place, request in
            // Of an empty object there is no range (416).
            guard request.outcome == .ended, [206, 416].contains(request.status) else { return true }
            let bytes = request.bytes
            let index = PackIndex(unsafe bytes.span.bytes)
            let now = SystemClock.monotonicNanoseconds()
            state.withLock { $0.packs.learn(index, under: hashes[place], at: now) }
            return true
        }
    }

    func distrust(_ hash: PrefixHash, withNeighbours: Bool) -> Bool {
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { state in
            if withNeighbours { state.packs.lose(hash, at: now) } else { state.packs.doubt(hash, at: now) }
        }
        return true
    }
}
