// The store's types as arguments of commands.

// Public because a conformance is as public as its type and its protocol.
public import ArgumentParser
public import PrefixStore

extension PageOrder: ExpressibleByArgument {}

extension StoreCodec: ExpressibleByArgument {}
