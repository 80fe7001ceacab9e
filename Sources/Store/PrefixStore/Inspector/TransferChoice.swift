// Which pages of a space a transfer moves.

/// The pages of a space that `push` and `pull` move: all of them, unless something here says otherwise. What several
/// fields say must hold together.
public struct TransferChoice: Sendable {
    /// Only the pages on the way to this one, and behind it.
    public var under: PrefixHash?
    /// Only the pages that these prompts begin with. Where a prompt ends inside a page, or goes on in another way than
    /// every page, that is the page with which it shares the most tokens.
    public var prompts: [[TokenID]]?
    /// What has made the token ids of `prompts` from texts; nil for token ids that came as such.
    public var tokenizer: PromptTokenizer?

    /// All are optional.
    public init(under: PrefixHash? = nil, prompts: [[TokenID]]? = nil, tokenizer: PromptTokenizer? = nil) {
        self.under = under
        self.prompts = prompts
        self.tokenizer = tokenizer
    }
}

/// The tokenizer of a list of prompts. With another one than a space's, prompts would fit none of its pages, or few.
public struct PromptTokenizer: Sendable, Equatable {
    /// What the names of the engines begin with whose spaces have such digests: others compute theirs in another way,
    /// and cannot be compared.
    public let engine: String
    /// The digest of the tokenizer.
    public let digest: Digest

    /// A tokenizer.
    public init(engine: String, digest: Digest) {
        self.engine = engine
        self.digest = digest
    }

    /// - Throws: `.invalidOption` when the space has another one.
    func check(_ space: SpaceDescriptor) throws(StoreError) {
        let own = space.text(.tokenizer)
        guard space.text(.engine).hasPrefix(engine), own != digest.short else { return }
        throw .invalidOption(
            "the prompts were read with the tokenizer \(digest.short), and the space \(space.root.short) has \(own)")
    }
}

/// A page that may be chosen, on either side.
struct TransferEntry {
    let hash: PrefixHash
    /// The page before it, or the root of the space.
    let parent: PrefixHash
}

/// What was chosen.
struct TransferSelection {
    /// The chosen pages.
    private(set) var hashes: Set<PrefixHash>
    /// Chosen pages before which a page of their prompt is nowhere.
    private(set) var orphans: Set<PrefixHash> = []
    /// The pages that the prompts begin with, wherever they are; nil when no prompts were asked for.
    private var wanted: Set<PrefixHash>?
    /// For each prompt its tokens, the pages that it begins with among the entries, each with how many of the tokens it
    /// has, and the pages that it begins with wherever they are.
    private(set) var prompts: [Path]?
    private let pageSize: Int

    /// The pages of a prompt.
    struct Path {
        let tokens: Int
        let pages: [(hash: PrefixHash, tokens: Int)]
        let chain: [PrefixHash]
    }

    /// Chooses among `entries`.
    ///
    /// - Parameters:
    ///   - descriptor: that of the space.
    ///   - seal: its seal.
    ///   - tokens: the token ids of a page. Asked for as few pages as possible.
    /// - Throws: `.noSuchPage`, `.invalidOption`, and what `tokens` throws.
    init(
        _ choice: TransferChoice, of entries: [TransferEntry], in descriptor: SpaceDescriptor, _ seal: SpaceSeal?,
        tokens: (PrefixHash) throws(StoreError) -> [TokenID]
    ) throws(StoreError) {
        pageSize = descriptor.layout.pageSize
        let among = try choice.under.map { (last) throws(StoreError) in try Self.under(last, entries) }
        let entries = among.map { among in entries.filter { among.contains($0.hash) } } ?? entries
        let known = Set(entries.map(\.hash))
        hashes = known
        guard let prompts = choice.prompts else { return }
        try choice.tokenizer?.check(descriptor)
        var siblings: [PrefixHash: Siblings] = [:]
        var paths: [Path] = []
        let children = Dictionary(grouping: entries, by: \.parent).mapValues { $0.map(\.hash) }
        let size = descriptor.layout.pageSize
        hashes = []
        var wanted: Set<PrefixHash> = []
        for prompt in prompts {
            let chain = PrefixHash.chain(from: descriptor.root, tokens: prompt[...], pageSize: size, seal: seal)
            wanted.formUnion(chain)
            let count = chain.firstIndex { !known.contains($0) } ?? chain.count
            var path = (0..<count).map { (hash: chain[$0], tokens: min(size, prompt.count - $0 * size)) }
            if count < chain.count {
                let parent = count == 0 ? descriptor.root : chain[count - 1]
                if siblings[parent] == nil {
                    siblings[parent] = Siblings(
                        try (children[parent] ?? []).map { (hash) throws(StoreError) in (hash, try tokens(hash)) })
                }
                if let best = siblings[parent]?.best(for: prompt[(count * size)...]) { path.append(best) }
                orphans.formUnion(chain[(count + 1)...].filter { known.contains($0) })
            }
            hashes.formUnion(path.map(\.hash))
            paths.append(Path(tokens: prompt.count, pages: path, chain: chain))
        }
        orphans.subtract(hashes)
        self.prompts = paths
        self.wanted = wanted
    }

    /// Whether a page of which only the hash is known may be one that was asked for.
    func mayWant(_ hash: PrefixHash) -> Bool { wanted?.contains(hash) ?? true }

    /// How much of the prompts is there; nil when none were asked for.
    func counts(_ isThere: (PrefixHash) -> Bool) -> RemoteTransfer.Prompts? {
        guard let prompts else { return nil }
        var counts = RemoteTransfer.Prompts()
        for prompt in prompts {
            let chained = prompt.chain.prefix { isThere($0) }.count * pageSize
            let there = max(
                prompt.pages.prefix { isThere($0.hash) }.reduce(0) { $0 + $1.tokens }, min(chained, prompt.tokens))
            counts.count += 1
            counts.tokens += prompt.tokens
            counts.tokensThere += there
            if there == prompt.tokens {
                counts.whole += 1
            } else if there > 0 {
                counts.partial += 1
            } else {
                counts.absent += 1
            }
        }
        return counts
    }

    /// The pages on the way to a page, itself, and those behind it.
    ///
    /// - Throws: `.noSuchPage`.
    private static func under(_ last: PrefixHash, _ pages: [TransferEntry]) throws(StoreError) -> Set<PrefixHash> {
        let parents = Dictionary(pages.map { ($0.hash, $0.parent) }) { first, _ in first }
        guard parents[last] != nil else { throw .noSuchPage(last.short) }
        var wanted: Set<PrefixHash> = []
        var hash = last
        while let parent = parents[hash], wanted.insert(hash).inserted { hash = parent }
        let children = Dictionary(grouping: pages, by: \.parent)
        var next = [last]
        while let hash = next.popLast() {
            for child in children[hash] ?? [] where wanted.insert(child.hash).inserted { next.append(child.hash) }
        }
        return wanted
    }
}

/// Pages that follow one page, in the lexicographic order of their tokens: those that share the most with a text lie
/// beside its place.
private struct Siblings {
    private let pages: [(hash: PrefixHash, tokens: [TokenID])]

    init(_ pages: [(hash: PrefixHash, tokens: [TokenID])]) {
        self.pages = pages.sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
    }

    /// The page with which `rest` shares the most tokens, and how many; nil when it shares none with any.
    func best(for rest: ArraySlice<TokenID>) -> (hash: PrefixHash, tokens: Int)? {
        var (low, high) = (0, pages.count)
        while low < high {
            let middle = (low + high) / 2
            if pages[middle].tokens.lexicographicallyPrecedes(rest) { low = middle + 1 } else { high = middle }
        }
        var best: (hash: PrefixHash, tokens: Int)?
        for page in pages[max(0, low - 1)..<min(pages.count, low + 1)] {
            let common = zip(page.tokens, rest).prefix { $0 == $1 }.count
            if common > best?.tokens ?? 0 { best = (page.hash, common) }
        }
        return best
    }
}
