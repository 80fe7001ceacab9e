// `pfx tree`: the radix tree of a store.

internal import ArgumentParser
internal import PrefixStore

/// `pfx tree <folder>`.
struct Tree: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw the tree of prefixes.",
        discussion: """
            One line per run of pages that follow each other without a branch: the first digits of the last page's \
            prefix hash, the positions of the run's tokens or blocks, its pages, their slots on disk, the hits of its most used \
            page, and the time since its last use. `pfx show` and `pfx pin` take the hash; pinning it pins the whole \
            path to it.

            EXAMPLES:
              pfx tree kv --limit 20
              pfx tree kv --reveal --tokenizer llama
            """)

    @OptionGroup var store: StoreArguments
    @OptionGroup var revealing: RevealArguments

    @Option(help: ArgumentHelp("Only the space whose root begins with these digits.", valueName: "digits"))
    var space: String?

    @Option(help: ArgumentHelp("Levels of branches to draw.", valueName: "count"))
    var depth = 8

    @Option(help: ArgumentHelp("Most lines to draw, for all spaces together.", valueName: "count"))
    var limit = 200

    func validate() throws {
        guard (1...10_000).contains(depth) else { throw ValidationError("--depth must be 1 to 10000.") }
        guard (1...1_000_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000000.") }
    }

    func run() throws {
        let reveal = try Reveal(revealing)
        let trees = try store.withStore { store in
            let root = try space.map { try store.spaceRoot($0) }
            var left = limit
            return try store.spaces().filter { root == nil || $0.root == root }.map { space in
                try SpaceTree(space, in: store, depth: depth, lines: &left, reveal: reveal)
            }
        }
        try store.print(TreeJSON(trees), or: Self.text(trees))
    }

    static func text(_ trees: [SpaceTree]) -> String {
        guard !trees.isEmpty else { return "No spaces: no engine has stored anything here yet.\n" }
        return trees.map(\.text).joined()
    }
}

/// Pages that follow each other without a branch.
struct PageRun {
    var first: PageInfo
    var last: PageInfo
    var pages = 1
    var slotBytes: ByteCount
    var hits: Int
    var lastUse: Timestamp
    /// Number of branches above.
    var depth: Int
    /// The text before the line, which continues the branches above.
    var trunk: String
    /// Whether no sibling follows.
    var isLast: Bool
    /// Number of branches that are not drawn.
    var hiddenBranches = 0
    /// What the first page holds, with --reveal.
    var revealed: String?

    init(_ page: PageInfo, depth: Int, trunk: String, isLast: Bool) {
        first = page
        last = page
        slotBytes = page.slotBytes
        hits = page.hits
        lastUse = page.lastUse
        self.depth = depth
        self.trunk = trunk
        self.isLast = isLast
    }

    mutating func append(_ page: PageInfo) {
        last = page
        pages += 1
        slotBytes = ByteCount(slotBytes.value + page.slotBytes.value)
        hits = max(hits, page.hits)
        lastUse = max(lastUse, page.lastUse)
    }

    /// Tokens of the run; 0 for blocks.
    var tokens: Int { first.isBlock ? 0 : last.firstToken + last.tokenCount - first.firstToken }

    /// Where it lies: `tokens 0-31`, or `blocks 0-2`.
    private var place: String {
        first.isBlock
            ? "blocks \(Render.range(first.firstToken, pages))" : "tokens \(Render.range(first.firstToken, tokens))"
    }

    /// The text before the lines of the branches below.
    var trunkBelow: String { trunk + (isLast ? "   " : "|  ") }

    var text: String {
        let notes = last.notes.isEmpty ? "" : "  " + last.notes.joined(separator: ", ")
        var text =
            trunk + (isLast ? "`- " : "+- ")
            + "\(last.hash.short)  \(place)  "
            + "\(Render.count(pages, first.noun))  \(slotBytes)  \(Render.count(hits, "hit"))  "
            + "\(Render.age(lastUse))\(notes)\n"
        if let revealed { text += trunkBelow + revealed + "\n" }
        if hiddenBranches > 0 {
            text += trunkBelow + "`- \(Render.count(hiddenBranches)) more, see --depth and --limit\n"
        }
        return text
    }
}

/// The tree of one space, run by run, parents before children.
struct SpaceTree {
    /// The most branches of one place that are drawn.
    private static let branches = 100

    let space: SpaceInfo
    private(set) var runs: [PageRun] = []
    private var hiddenFirst = 0

    /// Reads the tree of `space`, at most `depth` branches deep, and subtracts the lines that it draws from `lines`.
    init(_ space: SpaceInfo, in store: StoreInspector, depth: Int, lines: inout Int, reveal: Reveal?) throws {
        self.space = space
        var waiting = try Self.branches(of: space.root, depth: 0, trunk: "", in: store)
        while let next = waiting.popLast() {
            guard lines > 0 else {
                hiddenFirst += 1
                continue
            }
            lines -= 1
            var run = next
            // The only follower of a page belongs to its run. Positions increase along a run, so that even in a damaged
            // tree a run ends.
            while run.last.childCount == 1, let child = try store.children(of: run.last.hash, limit: 1).first,
                child.firstToken > run.last.firstToken
            {
                run.append(child)
            }
            if let tokens = try reveal?.tokens(of: run.first.hash, in: store) { run.revealed = reveal?.line(tokens) }
            if run.last.childCount > 1 {
                if depth > run.depth + 1 {
                    let below = try Self.branches(
                        of: run.last.hash, depth: run.depth + 1, trunk: run.trunkBelow, in: store)
                    run.hiddenBranches = max(0, run.last.childCount - below.count)
                    waiting += below
                } else {
                    run.hiddenBranches = run.last.childCount
                }
            }
            runs.append(run)
        }
    }

    /// The branches that begin at a page, in reverse order.
    private static func branches(
        of hash: PrefixHash, depth: Int, trunk: String, in store: StoreInspector
    ) throws -> [PageRun] {
        let pages = try store.children(of: hash, limit: branches)
        return pages.enumerated().map { index, page in
            PageRun(page, depth: depth, trunk: trunk, isLast: index == pages.count - 1)
        }.reversed()
    }

    var text: String {
        let model = space.descriptor.labels["model"].map { "  \(Reveal.visible($0))" } ?? ""
        let sealed = space.sealing == .none ? "" : ", sealed"
        var text = "\(space.root.short)\(model)  \(space.contents), \(space.slotBytes)\(sealed)\n"
        for run in runs { text += run.text }
        if hiddenFirst > 0 { text += "\(Render.count(hiddenFirst)) more, see --limit\n" }
        return text
    }
}

extension SpaceInfo {
    /// Whether blocks are stored in it, and not pages.
    var isOfBlocks: Bool { descriptor.layout.isOfBlocks }

    /// `10 pages, 128 tokens`, or `3 blocks`.
    fileprivate var contents: String {
        isOfBlocks
            ? Render.count(pages, "block") : "\(Render.count(pages, "page")), \(Render.count(tokens, "token"))"
    }
}

/// The JSON of `pfx tree`: runs in the order in which they are drawn.
private struct TreeJSON: Encodable {
    struct Run: Encodable {
        var hash, firstHash, parent: PrefixHash
        var lastUse: Timestamp
        var depth, firstToken, tokens, pages, hits, branches: Int
        var slotBytes: ByteCount
        var isTail: Bool
        var pins: Int
        var revealed: String?

        init(_ run: PageRun) {
            hash = run.last.hash
            firstHash = run.first.hash
            parent = run.first.parent
            lastUse = run.lastUse
            depth = run.depth
            firstToken = run.first.firstToken
            tokens = run.tokens
            pages = run.pages
            hits = run.hits
            branches = run.last.childCount
            slotBytes = run.slotBytes
            isTail = run.last.isTail
            pins = run.last.pins
            revealed = run.revealed
        }
    }

    struct Space: Encodable {
        var root: PrefixHash
        var model: String?
        var runs: [Run]
    }

    var spaces: [Space]

    init(_ trees: [SpaceTree]) {
        spaces = trees.map {
            Space(root: $0.space.root, model: $0.space.descriptor.labels["model"], runs: $0.runs.map(Run.init))
        }
    }
}
