// What the commands that work on a store have in common: its folder, --json, hashes by their first digits.

internal import ArgumentParser
internal import PrefixStore

/// The arguments of every command that works on a store.
struct StoreArguments: ParsableArguments {
    @Argument(help: "Store folder.")
    var folder: String

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var sealing: KeyArguments

    /// Opens the store, lends it, and closes it.
    func withStore<R>(_ body: (StoreInspector) throws -> R) throws -> R {
        let inspector = try opened()
        defer { inspector.close() }
        return try body(inspector)
    }

    /// The store's own error tells an engine what to do about a missing store. A command that inspects a store needs
    /// another text.
    private func opened() throws -> StoreInspector {
        let key = try sealing.key()
        do throws(StoreError) {
            return try StoreInspector(at: folder, sealingKey: key)
        } catch .notAFolder where FileStatus(path: folder) != nil {
            throw CommandFailure(
                status: .missingInput, sentence: "\(folder) is a file.",
                remedy: "Name the folder of a store, as given to `pfx batch --store`.")
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

    /// Prints `value` as JSON with --json, and `text` otherwise.
    func print(_ value: some Encodable, or text: @autoclosure () -> String) throws {
        try Output.write(json ? JSONOutput.text(value) : text())
    }
}

/// The options --reveal and --tokenizer.
struct RevealArguments: ParsableArguments {
    @Flag(help: "Show token ids, or texts with --tokenizer. They may be private prompts.")
    var reveal = false

    @Option(
        help: ArgumentHelp(
            "tokenizer.json or a folder that holds one, to show texts instead of token ids.", valueName: "file"))
    var tokenizer: String?

    func validate() throws {
        guard tokenizer == nil || reveal else { throw ValidationError("--tokenizer needs --reveal.") }
    }
}

extension StoreInspector {
    /// The page whose prefix has the name `digits`, or whose hash begins with it. A name goes first: it was given by
    /// hand.
    func pageHash(_ digits: String) throws -> PrefixHash {
        do throws(StoreError) {
            // A whole hash is never a name, whatever somebody has called a prefix.
            let isHash = digits.utf8.count == 64 && digits.allSatisfy { $0.isASCII && $0.isHexDigit }
            if !isHash, let named = try prefix(named: digits) { return named.hash }
        } catch .invalidName {
            // What cannot be a name is no name.
        } catch {
            throw error
        }
        return try unique(try resolve(digits), digits, noun: "page", list: "ls")
    }

    /// The space whose root begins with `digits`.
    func spaceRoot(_ digits: String) throws -> PrefixHash {
        try unique(try resolveSpace(digits), digits, noun: "space", list: "spaces")
    }

    private func unique(_ found: HashResolution, _ digits: String, noun: String, list: String) throws -> PrefixHash {
        guard (1...64).contains(digits.count), digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            let isPage = noun == "page"
            throw CommandFailure(
                status: .usage,
                sentence: "'\(Reveal.escaped(digits))' is not a hash\(isPage ? ", nor the name of a prefix" : "").",
                remedy: "Give 1 to 64 hexadecimal digits, as `pfx \(list)` shows them"
                    + (isPage ? ", or a name of `pfx ls --names`." : "."))
        }
        switch found {
        case .unique(let hash): return hash
        case .none:
            throw CommandFailure(
                status: .failure, sentence: "No \(noun) begins with \(digits).",
                remedy: "List what is stored with `pfx \(list)`; it may have been evicted.")
        case .ambiguous(let hashes):
            throw CommandFailure(
                status: .failure,
                sentence: "Several \(noun)s begin with \(digits), such as \(hashes[0].short) and "
                    + "\(hashes[1].short).",
                remedy: "Give more digits.")
        }
    }
}
