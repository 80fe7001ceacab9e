// `pfx spaces`: which models share a store, and why two of them do not share pages.

internal import ArgumentParser
internal import PrefixStore

/// `pfx spaces <folder>`.
struct Spaces: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the spaces of a store, and how they differ.",
        discussion: """
            Pages are shared only within a space. If one engine does not find the pages of another, their identities \
            differ in at least one of these fields. Digests are shown by their first digits. A salt itself is not \
            stored, only its digest; of a sealed space a digest that nobody can compare.

            EXAMPLES:
              pfx spaces kv
            """)

    @OptionGroup var store: StoreArguments

    func run() throws {
        let spaces = try store.withStore { try $0.spaces() }
        let differences = SpaceDifference.all(in: spaces)
        try store.print(SpacesJSON(spaces, differences), or: Self.text(spaces, differences))
    }

    static func text(_ spaces: [SpaceInfo], _ differences: [SpaceDifference]) -> String {
        guard !spaces.isEmpty else { return "No spaces: no engine has stored anything here yet.\n" }
        var text = ""
        for space in spaces {
            let name = space.descriptor.labels["model"].map { "  \(Reveal.visible($0))" } ?? ""
            text += "\(space.root.short)\(name)\n"
            var table = TextTable(("", .left), ("", .left), ("", .left))
            if space.isOfBlocks {
                table.add("", "blocks", Render.count(space.pages))
            } else {
                table.add(
                    "", "pages",
                    "\(Render.count(space.pages)), \(Render.count(space.tails)) of them tails, "
                        + "\(Render.count(space.tokens, "token"))")
            }
            table.add(
                "", "sizes",
                Render.sizes(raw: space.rawBytes, encoded: space.encodedBytes, slots: space.slotBytes))
            table.add(
                "", "hits", "\(Render.count(space.hitTokens, "token")), last use \(Render.age(space.lastUse)) ago")
            if let time = space.prefillTimePerToken {
                table.add("", "prefill", "\(Render.count(Int(time / .microseconds(1)))) us per token")
            }
            switch space.sealing {
            case .none: break
            case .sealed(let id): table.add("", "sealed", "with the key \(id)")
            case .forgotten: table.add("", "sealed", "forgotten: run `pfx forget` again")
            case .damaged: table.add("", "sealed", "its wrapped key is damaged: remove it with `pfx forget`")
            }
            for field in SpaceDescriptor.Field.allCases {
                table.add("", field.description, space.descriptor.text(field))
            }
            for (name, value) in space.descriptor.labels.sorted(by: { $0.key < $1.key }) where name != "model" {
                table.add("", "label", "\(name): \(value)")
            }
            text += table.text
        }
        for difference in differences { text += difference.text }
        return text
    }
}

/// How two spaces of the same model label differ.
struct SpaceDifference {
    var model: String
    var roots: [PrefixHash]
    var fields: [(name: String, values: [String])]

    /// One for each pair of neighbours in the list that have the same model label.
    static func all(in spaces: [SpaceInfo]) -> [SpaceDifference] {
        var groups: [String: [SpaceInfo]] = [:]
        for space in spaces {
            if let model = space.descriptor.labels["model"] { groups[model, default: []].append(space) }
        }
        return groups.sorted { $0.key < $1.key }.flatMap { model, spaces in
            zip(spaces, spaces.dropFirst()).map { first, second in
                let fields = first.descriptor.differences(from: second.descriptor)
                return SpaceDifference(
                    model: model, roots: [first.root, second.root],
                    fields: fields.map { ($0.description, [first.descriptor.text($0), second.descriptor.text($0)]) })
            }
        }
    }

    /// Lines for people.
    var text: String {
        let names = fields.map(\.name).joined(separator: ", ")
        let pair = "\(roots[0].short) and \(roots[1].short) are both \(Reveal.visible(model))"
        return fields.reduce("\(pair), but differ in \(names):\n") {
            $0 + "  \($1.name): " + Reveal.visible("\($1.values[0]) / \($1.values[1])") + "\n"
        }
    }
}

/// The JSON of `pfx spaces`.
private struct SpacesJSON: Encodable {
    struct Difference: Encodable {
        var model: String
        var roots, fields: [String]
    }

    var spaces: [SpaceInfo]
    var differences: [Difference]

    init(_ spaces: [SpaceInfo], _ differences: [SpaceDifference]) {
        self.spaces = spaces
        self.differences = differences.map {
            Difference(model: $0.model, roots: $0.roots.map(\.description), fields: $0.fields.map(\.name))
        }
    }
}
