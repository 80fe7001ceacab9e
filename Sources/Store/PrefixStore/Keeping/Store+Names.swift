// Names for prefixes: what people and configurations call them, so that they can be pinned and found again.

internal import ColdTier

extension Space {
    /// Gives a name to the prefix `tokens`; durable when this returns. A name that another prefix had is this one's
    /// from then on; a prefix may have several names. A name keeps nothing: call `pin(_:)` too, if the prefix is to
    /// stay.
    ///
    /// ```swift
    /// try space.pin(systemPrompt)
    /// try space.setName("librarian", of: systemPrompt)
    /// ```
    ///
    /// - Parameters:
    ///   - name: `Limits.prefixName` bytes of UTF-8, without control characters and others that cannot be seen; one
    ///     name for the whole store.
    ///   - tokens: the whole prefix.
    /// - Throws: `.invalidName`; `.noSuchPage` when the prefix is not on disk (call `flush()` before); `.tooManyNames`
    ///   beyond `Limits.prefixNames`; `.diskFull`, `.closed`. Nothing was changed then.
    public func setName(_ name: String, of tokens: [TokenID]) throws(StoreError) {
        try check(tokens)
        try store.cold.setName(name, of: prefixHash(tokens))
    }
}

extension Store {
    /// Takes a name away; its prefix stays as it is, pins included.
    ///
    /// - Throws: `.invalidName`, `.noSuchName`, `.diskFull`, `.closed`; nothing was changed then.
    public func removeName(_ name: String) throws(StoreError) {
        try checkOpen()
        try cold.removeName(name)
    }

    /// All names of the store, of every space, in the order of their bytes.
    public func names() throws(StoreError) -> [NamedPrefix] {
        try checkOpen()
        return try cold.names()
    }

    /// The prefix that has this name; nil when none has.
    ///
    /// - Throws: `.invalidName`, `.closed`.
    public func prefix(named name: String) throws(StoreError) -> NamedPrefix? {
        try checkOpen()
        return try cold.prefix(named: name)
    }
}
