// How an environment is opened.

/// What an environment may be used for.
package enum Access: Sendable {
    /// Reading and writing; the files are created when they are not there.
    case readWrite
    /// Reading only; nothing is created, and every write is refused.
    case readOnly
}

/// How an environment is opened.
package struct EnvironmentOptions: Sendable {
    /// Address space to reserve, in bytes; a multiple of the system's page size. It is not disk space. Make it large
    /// from the beginning, because nothing can even be deleted from a map that is completely full.
    package var mapSize: Int
    /// How many tables can be open.
    package var maxTables: Int
    /// How many read transactions can run at once, in all processes together. The first process that opens a folder
    /// decides.
    package var maxReaders: Int
    /// Reading only, or writing too.
    package var access: Access
    /// How long a write transaction waits for the writers of other processes.
    package var patience: Duration

    /// Options for one environment; sizes must be positive.
    package init(
        mapSize: Int, maxTables: Int = 16, maxReaders: Int = 512, access: Access = .readWrite,
        patience: Duration = EnvironmentOptions.defaultPatience
    ) {
        precondition(mapSize > 0 && maxTables > 0 && maxReaders > 0, "sizes of an environment are positive")
        self.mapSize = mapSize
        self.maxTables = maxTables
        self.maxReaders = maxReaders
        self.access = access
        self.patience = patience
    }

    /// How long a write transaction waits unless somebody says otherwise.
    package static var defaultPatience: Duration { LMDBLimits.patience }
}
