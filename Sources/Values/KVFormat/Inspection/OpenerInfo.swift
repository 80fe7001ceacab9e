// What is known of the processes that have a store open.

/// What a process opened a store for.
public enum OpenerRole: String, Sendable, CaseIterable, Encodable {
    /// To store and to load pages.
    case engine
    /// To look at the store, or to work on it with a command.
    case tool
}

/// A process that has a store open, or has ended without closing it. A value type.
public struct OpenerInfo: Sendable, Equatable, Encodable {
    /// The process id, as the process itself sees it.
    public let processID: Int
    /// The program's name, at most 24 bytes of it.
    public let program: String
    /// When it opened the store.
    public let openedAt: Timestamp
    /// What it opened the store for.
    public let role: OpenerRole
    /// Whether it still has the store open; if not, it ended without closing it.
    public let isAlive: Bool

    /// All that is known.
    package init(processID: Int, program: String, openedAt: Timestamp, role: OpenerRole, isAlive: Bool) {
        self.processID = processID
        self.program = program
        self.openedAt = openedAt
        self.role = role
        self.isAlive = isAlive
    }
}
