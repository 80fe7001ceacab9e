// Fields of input lines that the program does not know: it counts them, and reports them once at the end.

/// Counts lines by the names of fields that were ignored.
struct IgnoredFields {
    private(set) var lines: [String: Int] = [:]

    /// How many names are reported. The others are only counted.
    private static let toldNames = 10
    /// How many characters of a name are kept: a text in the place of a name must not fill the terminal.
    private static let nameLength = 40
    /// How many names are kept: a prompt's text in the place of names must not fill the memory.
    private static let keptNames = 1000

    /// Counts one line with the unknown fields `names`, or refuses it.
    mutating func take(_ names: [String], isStrict: Bool) throws(InputError) {
        if isStrict, let name = names.first {
            throw InputError(
                "It has the unknown field \"\(Self.shown(name))\". Correct its name, or leave out --strict.")
        }
        for name in names {
            let short = Self.shown(name)
            if lines[short] != nil || lines.count < Self.keptNames { lines[short, default: 0] += 1 }
        }
    }

    private static func shown(_ name: String) -> String { Reveal.escaped(String(name.prefix(nameLength))) }

    /// `ignored: max_new_tokns (1 line)`; nil when nothing was ignored.
    var text: String? {
        guard !lines.isEmpty else { return nil }
        let sorted = lines.sorted { $0.key < $1.key }
        let told = sorted.prefix(Self.toldNames).map { "\($0.key) (\(Render.count($0.value, "line")))" }
        let more = sorted.count > told.count ? " and \(Render.count(sorted.count - told.count)) more names" : ""
        return "ignored: \(told.joined(separator: ", "))\(more)"
    }
}
