// Every limit on what a caller or a file can ask for, each with its reason.

/// The limits that the store checks before it uses any input. Whatever passes a limit is refused with the limit's name,
/// and no memory is allocated for it.
public enum Limits {
    /// Token ids in one sequence: four times the longest context window sold in 2026.
    public static let tokens = 1 << 22

    /// Bytes that a store may use on disk. Below the range, LMDB's own pages outweigh what is stored; above it, the map
    /// of four times the quota passes a quarter of a process's address space.
    public static let quota = ByteCount.mebibytes(4)...ByteCount.gibibytes(8192)

    /// Bytes of a process's hot tier. Address space is reserved in pieces of 32 MiB as it is needed; a process has 128
    /// TiB of it.
    public static let hotCapacity = ByteCount.zero...ByteCount.gibibytes(32 << 10)

    /// Bytes of a tenant's secret. A shorter one could be guessed.
    public static let saltBytes = 16...4096

    /// Read transactions that run at once, in all processes together.
    package static let readers = 1...65_536

    /// Bytes that one transaction reads or writes: enough that beginning a transaction costs nothing in comparison, and
    /// few enough that freed pages are soon reused. LMDB keeps what a transaction writes in memory until the commit.
    package static let transactionBytes = 64 << 20

    /// Entries that one transaction reads or writes: LMDB keeps a list of what a transaction has changed.
    package static let transactionEntries = 1000

    /// Entries of the table `quarantine`, which the quota does not count: enough to see what kind of damage there is.
    package static let quarantined = 4096

    /// Pages with the same first token ids behind one page: a look-up compares at most this many and takes the best.
    package static let alternatives = 128

    /// Tokens in one page. Below 1 there is no page; above 4,096 a page of a large model passes `pageBytes`.
    public static let pageSize = 1...4096

    /// Layers of a model: the deepest published are below 200.
    public static let layers = 1...1024

    /// Planes of a page: four in each of 1,024 layers. The frame table of a record has at most one entry per plane.
    public static let planes = 1...4096

    /// Bytes of a layout in a space descriptor, if all of its planes differ.
    static let encodedPlanes = 4 + 8 * layers.upperBound + 12 * planes.upperBound

    /// KV heads of a layer.
    public static let kvHeads = 1...4096

    /// Numbers in one head.
    public static let headDimension = 1...8192

    /// Bytes of one page of all layers. A record must fit LMDB's 32-bit value sizes with room for its header.
    public static let pageBytes = 1 << 30

    /// Bytes of one side state: recurrent states of large models are tens of MiB.
    public static let sideStateBytes = 1 << 30

    /// Bytes of a side state's name, so that it fits in an LMDB key beside a prefix hash.
    public static let sideStateName = 64

    /// Side states of one prefix.
    public static let sideStates = 16

    /// Bytes of a block.
    public static let blockBytes = 1 << 30

    /// Bytes of the key that an engine chooses for a block: the limit of LMDB's keys.
    public static let blockKey = 1...511

    /// Spaces that a store keeps when they have no pages. An engine that makes up an identity for every session would
    /// otherwise make the file grow for ever.
    package static let emptySpaces = 1024

    /// Bytes of the wrapped key of a sealed space: enough for 32 bytes encrypted by any key service.
    package static let wrappedKey = 256

    /// Bytes of a name that people give to a prefix: it must fit in a line of a list beside a hash.
    public static let prefixName = 1...64

    /// Names of one store: people give them, one by one; programs that name every prefix have keys for that.
    public static let prefixNames = 4096

    /// Refuses what is no name for a prefix: one of another length, or with characters that a terminal would obey or
    /// that hide what a name says, such as control characters, marks of the writing direction and line separators.
    ///
    /// - Throws: `.invalidName`.
    package static func check(prefixName name: String) throws(StoreError) {
        guard prefixName.contains(name.utf8.count) else {
            throw .invalidName(
                "\(name.utf8.count) bytes; \(prefixName.lowerBound) to \(prefixName.upperBound) are possible")
        }
        guard name.unicodeScalars.allSatisfy({ !invisible.contains($0.properties.generalCategory) }) else {
            throw .invalidName("it has control characters or others that cannot be seen")
        }
    }

    /// Characters without a shape of their own, or with a different one on every machine.
    private static let invisible: Set<Unicode.GeneralCategory> = [
        .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse, .surrogate,
    ]

    /// Bytes of a text field of an identity (engine name, position parameters, a label).
    public static let identityText = 4096

    /// Labels of one identity.
    public static let labels = 32
}
