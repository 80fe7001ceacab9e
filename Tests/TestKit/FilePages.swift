// Which kind each page of an LMDB file is: for tests that damage files. It shares no code with what it tests.

/// The pages of an LMDB 0.9 file, by kind.
public struct FilePages: Sendable {
    /// What a page is for.
    public enum Kind: String, CaseIterable, Sendable {
        case meta, branch, leaf, overflow, freeList
    }

    /// Bytes of a page.
    public static let pageSize = 4096

    /// The pages of each kind that are in use; the first page of a large value stands for all of it.
    public private(set) var pages: [Kind: [Int]] = [.meta: [0, 1]]
    private let bytes: [UInt8]

    /// Finds the pages of a file that is sound.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let meta = number(144, 8) > number(Self.pageSize + 144, 8) ? 0 : Self.pageSize
        walk(number(meta + 80, 8), isFreeList: true)
        walk(number(meta + 128, 8), isFreeList: false)
    }

    /// A little-endian number of the file.
    private func number(_ offset: Int, _ count: Int) -> Int {
        Int(bitPattern: (0..<count).reduce(UInt(0)) { $0 | UInt(bytes[offset + $1]) << UInt(8 * $1) })
    }

    private mutating func walk(_ page: Int, isFreeList: Bool) {
        guard page > 1 else { return }
        let start = page * Self.pageSize
        let isLeaf = number(start + 10, 2) & 2 != 0
        pages[isFreeList ? .freeList : isLeaf ? .leaf : .branch, default: []].append(page)
        for index in 0..<(number(start + 12, 2) - 16) / 2 {
            let node = start + number(start + 16 + 2 * index, 2)
            guard isLeaf else {
                walk(number(node, 6), isFreeList: isFreeList)
                continue
            }
            let value = node + 8 + number(node + 6, 2)
            let flags = number(node + 4, 2)
            if flags & 1 != 0 { pages[isFreeList ? .freeList : .overflow, default: []].append(number(value, 8)) }
            if flags & 2 != 0 { walk(number(value + 40, 8), isFreeList: false) }
        }
    }
}
