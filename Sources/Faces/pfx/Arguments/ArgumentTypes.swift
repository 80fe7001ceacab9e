// The store's types as arguments of commands.

// Public because a conformance is as public as its type and its protocol.
public import ArgumentParser
public import PrefixStore

extension ByteCount: ExpressibleByArgument {
    /// Reads `20GiB`, `512 MiB`, `1.5G` or a number of bytes.
    public init?(argument: String) { self.init(parsing: argument) }
}

extension PageOrder: ExpressibleByArgument {}

extension StoreCodec: ExpressibleByArgument {}
