// `pfx show`: shows everything about one page.

internal import ArgumentParser
internal import PrefixStore

/// `pfx show <folder> <hash>`.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one page: its place, what protects it, how it is stored.",
        discussion: """
            Reads the page's record and checks every frame. The exit status is 2 if the record is damaged.

            EXAMPLES:
              pfx show kv 3fa9
              pfx show kv 3fa9 --reveal --tokenizer llama
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "Prefix hash of the page, its first digits, or the name of a prefix that ends with it.")
    var hash: String

    @OptionGroup var revealing: RevealArguments

    func run() throws {
        let reveal = try Reveal(revealing)
        let shown = try store.withStore { store in
            let hash = try store.pageHash(hash)
            let record = try ShownRecord(of: hash, in: store)
            return ShownPage(
                page: try store.page(hash), depth: try? store.path(to: hash).count, record: record,
                tokens: try reveal?.tokens(of: hash, in: store))
        }
        try store.print(ShowJSON(shown, reveal), or: shown.text(reveal))
        if !shown.isSound { throw ExitStatus.damage.code }
    }
}

/// A page's record: its frames, or why they cannot be read.
struct ShownRecord {
    var frames: [FrameInfo] = []
    var damage: String?
    /// Whether it cannot be looked into without its key.
    var isSealed = false

    /// Reads the record of a page. The damage of one page is not an error of the store, so it is shown.
    init(of hash: PrefixHash, in store: StoreInspector) throws {
        let page = try store.page(hash)
        do throws(StoreError) {
            frames = try store.frames(of: page.hash)
        } catch .damaged(_, let what) {
            damage = what
        } catch .sealedSpace {
            isSealed = true
        } catch .noSuchPage {
            damage = "page \(page.hash.short): the record or its space is missing"
        } catch {
            throw error
        }
    }

    var isSound: Bool { damage == nil && frames.allSatisfy(\.isSound) }
}

/// What is shown of a page.
struct ShownPage {
    var page: PageInfo
    /// Pages or blocks from the beginning of the sequence to this one; nil when the path is broken.
    var depth: Int?
    var record: ShownRecord
    /// With --reveal, and not for a block.
    var tokens: [TokenID]?

    var isSound: Bool { record.isSound }

    func text(_ reveal: Reveal?) -> String {
        var table = TextTable(("", .left), ("", .left))
        table.add(page.noun, page.hash.description)
        table.add("space", page.root.description)
        table.add("parent", page.isFirst ? "none, it begins a sequence" : page.parent.description)
        if !page.isBlock {
            table.add(
                "tokens", Render.range(page.firstToken, page.tokenCount) + (page.isTail ? ", a tail" : ""))
        }
        table.add(
            "path",
            depth.map { Render.count($0, page.noun) } ?? "broken: a \(page.noun) before it is missing or damaged")
        table.add("followed by", Render.count(page.childCount, page.noun))
        table.add("raw", "\(page.rawBytes)")
        table.add("encoded", "\(page.encodedBytes)")
        table.add("slot", "\(page.slotBytes), \(Render.comparison(page.rawBytes, page.slotBytes)) than raw")
        table.add("stored", Render.time(page.createdAt))
        table.add("used", "\(Render.time(page.lastUse)), \(Render.count(page.hits, "hit"))")
        table.add("pins", "\(page.pins)")
        if let expiry = page.expiry { table.add("expires", Render.time(expiry)) }
        table.add(
            "side states",
            page.sideStates.isEmpty ? "none" : page.sideStates.map(Reveal.escaped).joined(separator: ", "))
        if let tokens, let reveal { table.add("says", reveal.line(tokens)) }
        return table.text + framesText
    }

    private var framesText: String {
        if let damage = record.damage { return "DAMAGED: \(damage)\n" }
        if record.isSealed { return "SEALED: its frames cannot be checked without its key (--key-file).\n" }
        var table = TextTable(
            ("FRAME", .right), ("LAYERS", .left), ("CODEC", .left), ("RAW", .right), ("ENCODED", .right),
            ("CHECKSUM", .left))
        for (index, frame) in record.frames.enumerated() {
            table.add(
                "\(index)", Render.range(frame.layers.lowerBound, frame.layers.count), frame.codec, "\(frame.rawBytes)",
                "\(frame.encodedBytes)", frame.isSound ? "right" : "WRONG")
        }
        return table.text
    }
}

/// The JSON of `pfx show`.
private struct ShowJSON: Encodable {
    var page: PageInfo
    var depth: Int?
    var damage: String?
    var isSealed: Bool?
    var frames: [FrameInfo]
    var tokens: [TokenID]?
    var text: String?

    init(_ shown: ShownPage, _ reveal: Reveal?) {
        page = shown.page
        depth = shown.depth
        damage = shown.record.damage
        isSealed = shown.record.isSealed ? true : nil
        frames = shown.record.frames
        tokens = shown.tokens
        text = shown.tokens.flatMap { reveal?.text($0) }
    }
}
