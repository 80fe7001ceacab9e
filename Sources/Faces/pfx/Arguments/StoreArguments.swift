// What the commands that work on a store have in common: its folder, --json, hashes by their first digits.

internal import ArgumentParser
internal import PrefixStore

/// The arguments of every command that works on a store.
struct StoreArguments: ParsableArguments {
    @Argument(help: "The store's folder.")
    var folder: String

    @Flag(help: "Print one JSON object.")
    var json = false

    /// Opens the store, lends it, and closes it.
    func withStore<R>(_ body: (StoreInspector) throws -> R) throws -> R {
        let inspector = try opened()
        defer { inspector.close() }
        return try body(inspector)
    }

    /// The store says what an engine does about a missing one; whoever looks at one wants to know something else.
    private func opened() throws -> StoreInspector {
        do throws(StoreError) {
            return try StoreInspector(at: folder)
        } catch .notAFolder {
            throw CommandFailure(
                status: .missingInput, sentence: "There is no folder \(folder).",
                remedy: "Name the folder of a store, as given to `pfx batch --store`.")
        } catch .notAStore {
            throw CommandFailure(
                status: .unusableStore, sentence: "The folder \(folder) holds no store.",
                remedy: "Name the folder of a store, as given to `pfx batch --store`.")
        } catch {
            throw error
        }
    }

    /// Prints `value` as JSON, or `text`, whichever is asked for.
    func print(_ value: some Encodable, or text: @autoclosure () -> String) throws {
        try Output.write(json ? JSONOutput.text(value) : text())
    }
}

/// What is asked for by --reveal and --tokenizer.
struct RevealArguments: ParsableArguments {
    @Flag(help: "Show token ids, or texts with --tokenizer. They are somebody's prompts.")
    var reveal = false

    @Option(help: "A tokenizer.json, to show texts instead of token ids.")
    var tokenizer: String?

    func validate() throws {
        guard tokenizer == nil || reveal else { throw ValidationError("--tokenizer needs --reveal.") }
    }
}

extension StoreInspector {
    /// The page whose hash begins with `digits`.
    func pageHash(_ digits: String) throws -> PrefixHash {
        try unique(try resolve(digits), digits, noun: "page", list: "ls")
    }

    /// The space whose root begins with `digits`.
    func spaceRoot(_ digits: String) throws -> PrefixHash {
        try unique(try resolveSpace(digits), digits, noun: "space", list: "spaces")
    }

    private func unique(_ found: HashResolution, _ digits: String, noun: String, list: String) throws -> PrefixHash {
        guard (1...64).contains(digits.count), digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw CommandFailure(
                status: .usage, sentence: "'\(digits)' is no hash.",
                remedy: "Give 1 to 64 hexadecimal digits, as `pfx \(list)` shows them.")
        }
        switch found {
        case .unique(let hash): return hash
        case .none:
            throw CommandFailure(
                status: .failure, sentence: "No \(noun) begins with \(digits).",
                remedy: "List what there is with `pfx \(list)`; it may have been evicted.")
        case .ambiguous(let hashes):
            throw CommandFailure(
                status: .failure,
                sentence: "Several \(noun)s begin with \(digits), such as \(hashes[0].short) and "
                    + "\(hashes[1].short).",
                remedy: "Give more digits.")
        }
    }
}
