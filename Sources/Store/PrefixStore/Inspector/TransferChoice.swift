// Which pages of a space a transfer moves.

/// The pages of a space that `push` and `pull` move: all of them, unless something here says otherwise. What several
/// fields say must hold together.
public struct TransferChoice: Sendable {
    /// Only the pages on the way to this one, and behind it.
    public var under: PrefixHash?
    /// Only the pages that these prompts begin with. Where a prompt ends inside a page, or goes on in another way than
    /// every page, that is the page with which it shares the most tokens.
    public var prompts: [[TokenID]]?

    /// Both are optional.
    public init(under: PrefixHash? = nil, prompts: [[TokenID]]? = nil) {
        self.under = under
        self.prompts = prompts
    }

    /// The chosen ones of `pages`, in their order.
    ///
    /// - Parameters:
    ///   - pages: parents before their children.
    ///   - name: the hash of a page and that of its parent; the root of the space for a first page.
    ///   - tokens: the token ids of a page. Asked for as few pages as possible.
    /// - Throws: `.noSuchPage`, and what `tokens` throws.
    func pages<Page>(
        of pages: [Page], in root: PrefixHash, _ name: (Page) -> (hash: PrefixHash, parent: PrefixHash),
        tokens: (Page) throws(StoreError) -> [TokenID]
    ) throws(StoreError) -> [Page] {
        var chosen = pages
        if let under {
            let wanted = try Self.under(under, chosen.map(name))
            chosen = chosen.filter { wanted.contains(name($0).hash) }
        }
        guard let prompts else { return chosen }
        let children = Dictionary(grouping: chosen) { name($0).parent }
        var known: [PrefixHash: [TokenID]] = [:]
        var wanted: Set<PrefixHash> = []
        for prompt in prompts {
            var (parent, rest) = (root, prompt[...])
            while !rest.isEmpty {
                var best: (hash: PrefixHash, common: Int, count: Int)?
                for page in children[parent] ?? [] {
                    let hash = name(page).hash
                    if known[hash] == nil { known[hash] = try tokens(page) }
                    let own = known[hash] ?? []
                    let common = zip(own, rest).prefix { $0 == $1 }.count
                    if common > best?.common ?? 0 { best = (hash, common, own.count) }
                }
                guard let best else { break }
                wanted.insert(best.hash)
                guard best.common == best.count else { break }
                (parent, rest) = (best.hash, rest.dropFirst(best.count))
            }
        }
        return chosen.filter { wanted.contains(name($0).hash) }
    }

    /// The pages on the way to a page, itself, and those behind it.
    private static func under(
        _ last: PrefixHash, _ pages: [(hash: PrefixHash, parent: PrefixHash)]
    ) throws(StoreError) -> Set<PrefixHash> {
        let parents = Dictionary(pages.map { ($0.hash, $0.parent) }) { first, _ in first }
        guard parents[last] != nil else { throw .noSuchPage(last.short) }
        var wanted: Set<PrefixHash> = []
        var hash = last
        while let parent = parents[hash], wanted.insert(hash).inserted { hash = parent }
        var behind: Set<PrefixHash> = [last]
        for page in pages where behind.contains(page.parent) {
            behind.insert(page.hash)
            wanted.insert(page.hash)
        }
        return wanted
    }
}
