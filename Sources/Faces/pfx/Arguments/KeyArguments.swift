// Where a command gets the sealing key: --key-file, --key-fd, or PFX_KEY.

internal import ArgumentParser
internal import PrefixStore

/// The options that name the sealing key of a store.
struct KeyArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "File with the store's sealing key, readable by you alone. Without it, PFX_KEY is looked at.",
            valueName: "file"))
    var keyFile: String?

    @Option(help: ArgumentHelp("Descriptor to read the sealing key from, such as 3.", valueName: "number"))
    var keyFd: Int32?

    func validate() throws {
        guard keyFile == nil || keyFd == nil else { throw ValidationError("Give --key-file or --key-fd, not both.") }
        if let keyFd, keyFd < 0 { throw ValidationError("--key-fd must be 0 or more.") }
    }

    /// The key; nil when none is given.
    func key() throws -> SealingKey? {
        if let keyFile { return try Self.key(inFile: keyFile) }
        if let keyFd { return try SealingKey(descriptor: keyFd) }
        return try SealingKey.environment()
    }

    /// The key in a file that the command names.
    static func key(inFile path: String) throws -> SealingKey {
        try CommandFailure.require(file: path)
        return try SealingKey(file: path)
    }
}
