// In which order, and in which parts, pages are moved by hand.

internal import Records

enum TransferOrder {
    /// Pages and raw bytes that are in memory at once.
    private static let batch = (pages: 64, bytes: 16 << 20)

    /// Pages in the order in which an object store packs them: each behind its parent, one path after the other.
    static func byPaths<Page>(
        _ pages: [Page], _ name: (Page) -> (hash: PrefixHash, parent: PrefixHash)
    ) -> [Page] {
        var places: [PrefixHash: Int] = [:]
        for (place, page) in pages.enumerated() { places[name(page).hash] = place }
        var children: [PrefixHash: [Int]] = [:]
        var next: [Int] = []
        for (place, page) in pages.enumerated().reversed() {
            let parent = name(page).parent
            if places[parent] == nil { next.append(place) } else { children[parent, default: []].append(place) }
        }
        var ordered: [Page] = []
        while let place = next.popLast() {
            ordered.append(pages[place])
            next += children[name(pages[place]).hash] ?? []
        }
        return ordered
    }

    /// Cuts pages of these sizes into parts that fit memory.
    static func parts(_ bytes: [UInt64]) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var (start, sum) = (0, 0)
        for (place, size) in bytes.enumerated() {
            if place > start, place - start >= batch.pages || sum + Int(size) > batch.bytes {
                parts.append(start..<place)
                (start, sum) = (place, 0)
            }
            sum += Int(size)
        }
        if start < bytes.count { parts.append(start..<bytes.count) }
        return parts
    }

    /// Ends of prompts, each with a longer page beside it that begins with its tokens: a store drops a page when such a
    /// one comes.
    ///
    /// - Parameter pages: in any order.
    static func covers(_ pages: [(hash: PrefixHash, parent: PrefixHash, tokens: ArraySlice<TokenID>)])
        -> [PrefixHash: PrefixHash]
    {
        var covers: [PrefixHash: PrefixHash] = [:]
        for siblings in Dictionary(grouping: pages, by: \.parent).values where siblings.count > 1 {
            // In lexicographic order, what begins with a page follows it at once.
            let ordered = siblings.sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
            for (page, next) in zip(ordered, ordered.dropFirst())
            where page.hash != next.hash && next.tokens.starts(with: page.tokens) {
                covers[page.hash] = next.hash
            }
        }
        return covers
    }
}
