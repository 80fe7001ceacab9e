// The two meta pages, each the root of one commit. The older one is written over by the next commit.

/// What a meta page says.
struct MetaPage: Equatable, Sendable {
    /// Bytes from the beginning of the page to the end of what is used of it.
    static let byteCount = 152
    /// Where the number of the commit is.
    static let transactionOffset = 144
    private static let freeListOffset = 40
    private static let mainOffset = 88
    private static let magic: UInt32 = 0xBEEF_C0DE
    private static let version: UInt32 = 1
    /// Page sizes that LMDB can have: its offsets inside a page have 16 bits.
    static let pageSizes: [UInt32] = [4_096, 8_192, 16_384, 32_768]

    /// Bytes of a page.
    let pageSize: Int
    /// The list of free pages.
    let freeList: TreeRecord
    /// The tree whose values describe the tables.
    let main: TreeRecord
    /// The highest page number in use.
    let lastPage: UInt64
    /// The commit that wrote it.
    let transaction: UInt64
    /// Whether what it says of its commit can be. When a write of a meta page failed, LMDB leaves the trees of the new
    /// commit in it with the number of an old one, which is of no harm: the other page has the newer number.
    let isWhole: Bool

    /// Reads meta page `number`, 0 or 1, from the first bytes of that page. Nil when it is none that LMDB can work
    /// with: wrong number, kind, magic, version, page size, or flags of its trees.
    init?(_ bytes: UnsafeRawBufferPointer, number: UInt64) {
        guard bytes.count >= Self.byteCount, let start = bytes.baseAddress else { return nil }
        func field<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T {
            unsafe start.loadUnaligned(fromByteOffset: offset, as: T.self)
        }
        let header = unsafe PageHeader(start)
        guard header.number == number, header.flags == PageHeader.meta,
            field(16, UInt32.self) == Self.magic, field(20, UInt32.self) == Self.version
        else { return nil }
        let mapSize = field(32, UInt64.self)
        let size = field(40, UInt32.self)
        let flags = field(44, UInt16.self)
        guard Self.pageSizes.contains(size), flags == TreeRecord.integerKeys else { return nil }
        pageSize = Int(size)
        freeList = unsafe TreeRecord(start + Self.freeListOffset)
        main = unsafe TreeRecord(start + Self.mainOffset)
        lastPage = field(136, UInt64.self)
        transaction = field(Self.transactionOffset, UInt64.self)
        guard main.flags == 0 else { return nil }
        isWhole =
            lastPage >= 1 && lastPage < mapSize / UInt64(size) && transaction <= UInt64(Int.max)
            && (transaction % 2 == number || transaction == 0) && freeList.isPossible(lastPage)
            && main.isPossible(lastPage)
    }
}

extension MetaPage {
    /// Whether the meta page at an address has the same trees as this one.
    func hasRoots(of start: UnsafeRawPointer) -> Bool {
        unsafe start.loadUnaligned(fromByteOffset: Self.mainOffset + TreeRecord.rootOffset, as: UInt64.self)
            == main.root
            && start.loadUnaligned(fromByteOffset: Self.freeListOffset + TreeRecord.rootOffset, as: UInt64.self)
                == freeList.root
            && start.loadUnaligned(fromByteOffset: Self.transactionOffset, as: UInt64.self) == transaction
    }
}

/// LMDB's description of a tree, 48 bytes.
struct TreeRecord: Equatable, Sendable {
    static let byteCount = 48
    static let rootOffset = 40
    /// `MDB_INTEGERKEY`, the one flag that a tree of this store can have.
    static let integerKeys: UInt16 = 0x08

    let flags: UInt16
    let depth: UInt16
    let branchPages: UInt64
    let leafPages: UInt64
    let overflowPages: UInt64
    let entries: UInt64
    /// The page at the top; `PageMap.none` when the tree is empty.
    let root: UInt64

    /// Reads 48 bytes.
    init(_ start: UnsafeRawPointer) {
        flags = unsafe start.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
        depth = unsafe start.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
        branchPages = unsafe start.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        leafPages = unsafe start.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        overflowPages = unsafe start.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        entries = unsafe start.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        root = unsafe start.loadUnaligned(fromByteOffset: 40, as: UInt64.self)
    }

    /// Whether the root is one that a tree can have in a file whose last page is `lastPage`.
    func isPossible(_ lastPage: UInt64) -> Bool {
        root == PageMap.none ? entries == 0 : root >= PageMap.first && root <= lastPage && entries <= UInt64(Int.max)
    }
}
