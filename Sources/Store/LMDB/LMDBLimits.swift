// Every bound of LMDB that this module enforces before C sees a value.

/// The bounds of LMDB 0.9.
enum LMDBLimits {
    /// How many bytes a key may have; LMDB is built with 511 as its maximum, and an empty key is refused.
    static let keyBytes = 1...511

    /// How long a begin waits for the other transactions of this process when the map must be mapped afresh.
    /// Transactions last for a batch; a longer wait means that one was begun inside another.
    static let remapPatience = Duration.seconds(10)

    /// How often a begin follows an enlarged map before it gives up: each time means another enlargement meanwhile.
    static let remapAttempts = 8
}
