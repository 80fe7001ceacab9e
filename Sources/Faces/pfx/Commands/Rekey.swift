// `pfx rekey`: gives a store another sealing key.

internal import ArgumentParser
internal import PrefixStore

/// `pfx rekey <folder> --new-key-file <file>`.
struct Rekey: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give the sealed spaces of a store another key.",
        discussion: """
            The data keys of all sealed spaces are encrypted with the new key, in one step, and the copies under the \
            old key that are left in the file are overwritten. Pages stay as they are. Running engines go on with the \
            spaces that they have open; start them with the new key from now on. docs/security.md says what copies \
            elsewhere keep.

            EXAMPLES:
              head -c 32 /dev/urandom > new.key && chmod 600 new.key
              pfx rekey kv --key-file old.key --new-key-file new.key
            """)

    @OptionGroup var store: StoreArguments

    @Option(help: ArgumentHelp("File with the new key, readable by you alone.", valueName: "file"))
    var newKeyFile: String?

    @Option(help: ArgumentHelp("Descriptor to read the new key from.", valueName: "number"))
    var newKeyFd: Int32?

    func validate() throws {
        guard (newKeyFile == nil) != (newKeyFd == nil) else {
            throw ValidationError("Give the new key: --new-key-file or --new-key-fd.")
        }
    }

    func run() throws {
        let new = try newKeyFile.map { try KeyArguments.key(inFile: $0) }
        let key = try new ?? SealingKey(descriptor: newKeyFd ?? 0)
        let spaces = try store.withStore { try $0.rekey(to: key) }
        try store.print(
            RekeyJSON(spaces: spaces, sealing: key.id),
            or: "\(Render.count(spaces, "sealed space")) under the key \(key.id).\n")
    }
}

/// The JSON of `pfx rekey`.
private struct RekeyJSON: Encodable {
    var spaces: Int
    var sealing: String
}
