// The check of the pages that LMDB is about to walk in a write transaction.
//
// A write transaction changes pages in memory, which only LMDB knows, so it cannot do without LMDB's own walks. Before
// each call, the guard goes the same way through the tree of the last commit and checks every page on it. The pages
// that the transaction has changed were made from checked ones, and where a key belongs changes only with them: so LMDB
// meets no page of the file that was not checked.

/// Checks pages of the last commit for one write transaction. Only that transaction's thread uses it.
final class WriteGuard {
    private let pages: PageMap
    private let snapshot: Snapshot
    /// Pages that were checked.
    private var checked: Set<UInt64> = []
    /// Bytes that were deleted from each leaf of the last commit.
    private var deleted: [UInt64: Int] = [:]

    /// Leaves beside a deletion that are checked on either side: LMDB joins a leaf that becomes too empty with its
    /// neighbour, and what has become of both with the next.
    private static let neighbours = 2

    init(_ pages: PageMap, _ snapshot: Snapshot) {
        self.pages = pages
        self.snapshot = snapshot
    }

    /// Checks the way to a key, which LMDB goes to look it up.
    func look(_ table: Table, _ key: UnsafeRawBufferPointer) throws(LMDBError) {
        _ = unsafe try descend(try snapshot.tree(table), to: .key(key))
    }

    /// Checks the way to a key whose value is stored or replaced, and the pages that an old large value gives back.
    func put(_ table: Table, _ key: UnsafeRawBufferPointer) throws(LMDBError) {
        let tree = try snapshot.tree(table)
        guard let leaf = unsafe try descend(tree, to: .key(key))?.leaf else { return }
        let place = unsafe try leaf.search(key, tree.order)
        if place.isEqual { unsafe _ = try leaf.value(try leaf.node(place.index), in: pages, givingBack: true) }
    }

    /// Checks the way to a key that is deleted, the pages that its value gives back, and what LMDB would join the leaf
    /// with.
    func delete(_ table: Table, _ key: UnsafeRawBufferPointer) throws(LMDBError) {
        let tree = try snapshot.tree(table)
        guard let leaf = unsafe try descend(tree, to: .key(key))?.leaf else { return }
        let place = unsafe try leaf.search(key, tree.order)
        guard place.isEqual else { return }
        let node = try leaf.node(place.index)
        unsafe _ = try leaf.value(node, in: pages, givingBack: true)
        let bytes = deleted[leaf.number, default: 0] + (try leaf.checkedSize(node, place.index, in: pages, .table)) + 2
        deleted[leaf.number] = bytes
        // LMDB joins leaves that are less than a quarter full. Half is asked here, because another leaf may have come
        // to this one before.
        guard leaf.pageSize - leaf.upper - bytes < leaf.pageSize / 2 else { return }
        unsafe try checkNeighbours(of: leaf, key, tree)
    }

    /// Checks the way to a key beside which one comes and goes, and what LMDB would join the leaf with.
    func touch(_ table: Table, _ key: UnsafeRawBufferPointer) throws(LMDBError) {
        let tree = try snapshot.tree(table)
        guard let leaf = unsafe try descend(tree, to: .key(key))?.leaf else { return }
        let bytes = deleted[leaf.number, default: 0]
        guard leaf.pageSize - leaf.upper - bytes < leaf.pageSize / 2 else { return }
        unsafe try checkNeighbours(of: leaf, key, tree)
    }

    /// Checks the way to the entry before or behind a key, which a cursor is about to move to; without a key, to the
    /// first and last ones.
    func step(_ table: Table, from key: UnsafeRawBufferPointer?) throws(LMDBError) {
        let tree = try snapshot.tree(table)
        guard let key = unsafe key else {
            _ = try descend(tree, to: .first)
            _ = try descend(tree, to: .last)
            return
        }
        guard let place = unsafe try descend(tree, to: .key(key)) else { return }
        if let right = place.right { _ = try descend(from: right, tree, to: .first) }
        if let left = place.left { _ = try descend(from: left, tree, to: .last) }
    }

    /// Checks every page of a table, which LMDB walks to empty it.
    func clear(_ table: Table) throws(LMDBError) {
        let tree = try snapshot.tree(table)
        try pages.walk(tree) { (page) throws(LMDBError) in
            try check(page, .table)
            guard page.isLeaf else { return }
            for index in 0..<page.count { unsafe _ = try page.value(try page.node(index), in: pages, givingBack: true) }
        }
    }

    private func descend(_ tree: Tree, to target: DescentTarget) throws(LMDBError) -> Descent? {
        guard tree.root != PageMap.none else { return nil }
        return try descend(from: tree.root, tree, to: target)
    }

    private func descend(from root: UInt64, _ tree: Tree, to target: DescentTarget) throws(LMDBError) -> Descent {
        try pages.descend(from: root, tree.order, to: target) { (page) throws(LMDBError) in
            try check(page, .table)
        }
    }

    private func check(_ page: TreePage, _ kind: TreeKind) throws(LMDBError) {
        guard !checked.contains(page.number) else { return }
        try page.check(in: pages, kind)
        checked.insert(page.number)
    }

    /// Checks the leaves and branches beside the way to `key`: on either side as far as leaves go from which this
    /// transaction has deleted, and a few more.
    private func checkNeighbours(of leaf: TreePage, _ key: UnsafeRawBufferPointer, _ tree: Tree) throws(LMDBError) {
        for isRight in [false, true] {
            var place = unsafe try descend(from: tree.root, tree, to: .key(key))
            var left = Self.neighbours
            // Without it, damaged branches could lead round and round.
            var seen: Set<UInt64> = [leaf.number]
            while left > 0, let next = isRight ? place.right : place.left {
                let neighbour = try descend(from: next, tree, to: isRight ? .first : .last).leaf
                guard seen.insert(neighbour.number).inserted else { throw .damaged("a tree does not end") }
                if deleted[neighbour.number] == nil { left -= 1 }
                let edge = try neighbour.node(isRight ? neighbour.count - 1 : 0)
                place = unsafe try descend(from: tree.root, tree, to: .key(edge.key))
                // LMDB would follow keys that are not in order to another page.
                guard place.leaf.number == neighbour.number else { throw .damaged("keys of a tree are not in order") }
            }
        }
        unsafe try checkBranches(besideTheWayTo: key, tree)
    }

    /// Checks the branches beside those on the way to `key`: LMDB joins branches as it does leaves.
    private func checkBranches(besideTheWayTo key: UnsafeRawBufferPointer, _ tree: Tree) throws(LMDBError) {
        var way: [TreePage] = []
        _ = unsafe try pages.descend(from: tree.root, tree.order, to: .key(key)) { (page) in way.append(page) }
        for page in way.dropLast(2) {
            let index = unsafe try page.child(for: key, tree.order)
            for beside in [index - 1, index + 1] where beside >= 0 && beside < page.count {
                try check(try TreePage(try page.node(beside).child, in: pages), .table)
            }
        }
    }
}
