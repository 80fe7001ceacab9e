// What lies where a run of free pages is wanted.
//
// A large value needs neighbouring pages. In a file that small values have filled, no run may be left, however many
// pages are free: pages of trees and other small values lie between them. LMDB never moves those. Whoever stores them
// again makes room, since LMDB takes other pages for what changes.

/// Something small that lies in a part of the data file.
package enum Occupant: Sendable, Equatable {
    /// A value in pages of its own.
    case value(Table, key: [UInt8])
    /// A page of a table's tree. The way to the key leads over it.
    case treePage(Table, key: [UInt8])
}

/// What every page of a snapshot is worth to somebody who wants a run of free ones.
private struct PageUses {
    private static let free: UInt8 = 0
    private static let movable: UInt8 = 1
    private static let fixed: UInt8 = 2

    private var uses: [UInt8]

    init(pages: UInt64) {
        uses = [UInt8](repeating: Self.free, count: Int(clamping: pages))
        note(0..<PageMap.first, isMovable: false)
    }

    mutating func note(_ run: Range<UInt64>, isMovable: Bool) {
        for page in run where page < UInt64(uses.count) {
            uses[Int(page)] = isMovable ? Self.movable : Self.fixed
        }
    }

    /// The `count` neighbouring pages with the fewest to move, of equal ones the last: LMDB takes the first free pages
    /// for what is moved. Nil when something that cannot be moved lies in each such run.
    func emptiest(_ count: Int, before end: UInt64) -> Range<UInt64>? {
        let end = min(Int(clamping: end), uses.count)
        guard count > 0, count <= end else { return nil }
        var (best, least) = (0, Int.max)
        var (movable, fixed) = (0, 0)
        for page in 0..<end {
            movable += uses[page] == Self.movable ? 1 : 0
            fixed += uses[page] == Self.fixed ? 1 : 0
            let first = page - count
            if first >= 0 {
                movable -= uses[first] == Self.movable ? 1 : 0
                fixed -= uses[first] == Self.fixed ? 1 : 0
            }
            if first >= -1, fixed == 0, movable <= least { (best, least) = (first + 1, movable) }
        }
        return least == .max ? nil : UInt64(best)..<UInt64(best + count)
    }
}

extension Environment {
    /// What lies in the emptiest run of a file: of all runs of `bytes` bytes the one with the fewest pages in use.
    ///
    /// - Parameters:
    ///   - bytes: of the run.
    ///   - limit: the run lies within the first so many bytes of the file.
    ///   - longest: larger values are not moved; a run with one of those is left alone.
    ///   - tables: those whose values and pages may be moved.
    /// - Returns: nil when there is no such run; nothing when the run is free.
    /// - Complexity: reads the pages of all trees, twice, and one byte of memory per page of the file.
    package func occupants(
        ofRun bytes: Int, within limit: Int, longest: Int, of tables: [Table]
    ) throws(LMDBError) -> [Occupant]? {
        try read { (transaction) throws(LMDBError) in
            let (pages, snapshot) = (transaction.core.pages, transaction.core.snapshot)
            var uses = PageUses(pages: pages.count)
            for tree in [snapshot.freeList, snapshot.main] {
                try pages.walk(tree) { (page) throws(LMDBError) in
                    uses.note(page.number..<page.number + 1, isMovable: false)
                    try page.forEachRun(in: pages) { run, _ in uses.note(run, isMovable: false) }
                }
            }
            for table in tables {
                try pages.walk(try snapshot.tree(table)) { (page) throws(LMDBError) in
                    uses.note(page.number..<page.number + 1, isMovable: true)
                    try page.forEachRun(in: pages) { run, _ in
                        uses.note(run, isMovable: run.count * pages.pageSize <= longest)
                    }
                }
            }
            let count = (bytes + pages.pageSize - 1) / pages.pageSize
            guard let wanted = uses.emptiest(count, before: UInt64(limit / pages.pageSize)) else { return nil }
            var found: [Occupant] = []
            for table in tables {
                let tree = try snapshot.tree(table)
                try pages.walk(tree) { (page) throws(LMDBError) in
                    if wanted.contains(page.number) {
                        let leaf = try pages.descend(from: page.number, tree.order, to: .first).leaf
                        found.append(.treePage(table, key: unsafe Array(try leaf.node(0).key)))
                    }
                    try page.forEachRun(in: pages) { run, node in
                        if run.overlaps(wanted) { found.append(.value(table, key: unsafe Array(node.key))) }
                    }
                }
            }
            return found
        }
    }
}

extension TreePage {
    /// Lends the pages and the node of each large value of a leaf. Reads nothing of the values.
    fileprivate func forEachRun(
        in pages: PageMap, _ body: (Range<UInt64>, TreeNode) -> Void
    ) throws(LMDBError) {
        guard isLeaf else { return }
        for index in 0..<count {
            let node = try node(index)
            guard node.isLarge, node.flags & TreeNode.tree == 0 else { continue }
            let first = unsafe try inlineBytes(node).loadUnaligned(as: UInt64.self)
            let length = pages.overflowPages(node.valueBytes)
            guard first < pages.count, length <= pages.count - first else {
                throw .damaged("a value reaches outside the file")
            }
            body(first..<first + length, node)
        }
    }
}
