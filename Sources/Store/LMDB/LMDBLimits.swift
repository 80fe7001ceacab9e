// Every limit of LMDB that this module enforces before it passes a value to C.

/// The limits of LMDB 0.9.
enum LMDBLimits {
    /// How many bytes a key may have; LMDB is built with 511 as its maximum, and an empty key is refused.
    static let keyBytes = 1...511

    /// How long the beginning of a transaction waits for the other transactions of this process when the file must be
    /// mapped again. A transaction lasts as long as a batch; a longer wait means that one was begun inside another.
    static let remapPatience = Duration.seconds(10)

    /// How often the beginning of a transaction adopts an enlarged map, or opens LMDB anew, before it gives up. Each
    /// attempt means that it had become necessary again meanwhile.
    static let beginAttempts = 8

    /// How many process ids are tried until one is free that no process of another PID namespace goes by.
    static let idAttempts = 4096

    /// How often, and how long each time, the beginning of a transaction waits for the slot of another reader.
    static let waitsForReaders = 50
    static let readersMicroseconds: UInt32 = 1000

    /// How long a write transaction waits for the writers of other processes when its caller does not say. A batch
    /// takes seconds on a slow disk, and several processes may stand in line.
    static let patience = Duration.seconds(30)
}
