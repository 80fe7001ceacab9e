// Walking a tree in key order.

/// A place in a tree of a snapshot.
///
/// It has no stack of pages: where a leaf ends, the way to its neighbour is found by going down the tree once more.
/// Keys must ascend with every step, so that a walk ends even in a tree whose damage has made a circle.
@safe
struct TreeCursor {
    let pages: PageMap
    let tree: Tree
    private var leaf: TreePage?
    private var index = 0

    init(_ pages: PageMap, _ tree: Tree) {
        self.pages = pages
        self.tree = tree
    }

    /// The entry that the cursor is on.
    func entry() throws(LMDBError) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        guard let leaf else { return nil }
        let node = try leaf.node(index)
        return unsafe (node.key, try leaf.value(node, in: pages))
    }

    /// Moves to the first entry whose key is not less than `key`; on no entry when there is none.
    mutating func seek(_ key: UnsafeRawBufferPointer) throws(LMDBError) {
        leaf = nil
        guard tree.root != PageMap.none else { return }
        let place = unsafe try pages.descend(from: tree.root, tree.order, to: .key(key))
        let found = unsafe try place.leaf.search(key, tree.order).index
        if found < place.leaf.count { return set(place.leaf, found) }
        guard let right = place.right else { return }
        set(try pages.descend(from: right, tree.order, to: .first).leaf, 0)
    }

    mutating func first() throws(LMDBError) { try move(to: .first) }
    mutating func last() throws(LMDBError) { try move(to: .last) }

    /// Moves to the next entry, or to the first if the cursor is on no entry.
    mutating func next() throws(LMDBError) {
        guard let old = leaf else { return try first() }
        let key = unsafe try old.node(index).key
        if index + 1 < old.count {
            index += 1
        } else {
            leaf = nil
            guard let right = unsafe try pages.descend(from: tree.root, tree.order, to: .key(key)).right else { return }
            set(try pages.descend(from: right, tree.order, to: .first).leaf, 0)
        }
        unsafe try requireOrder(after: key, 1)
    }

    /// Moves to the previous entry, or to the last if the cursor is on no entry.
    mutating func previous() throws(LMDBError) {
        guard let old = leaf else { return try last() }
        let key = unsafe try old.node(index).key
        if index > 0 {
            index -= 1
        } else {
            leaf = nil
            guard let left = unsafe try pages.descend(from: tree.root, tree.order, to: .key(key)).left else { return }
            let found = try pages.descend(from: left, tree.order, to: .last).leaf
            set(found, found.count - 1)
        }
        unsafe try requireOrder(after: key, -1)
    }

    private mutating func move(to target: DescentTarget) throws(LMDBError) {
        leaf = nil
        guard tree.root != PageMap.none else { return }
        let found = try pages.descend(from: tree.root, tree.order, to: target).leaf
        if case .last = target { set(found, found.count - 1) } else { set(found, 0) }
    }

    private mutating func set(_ leaf: TreePage, _ index: Int) {
        self.leaf = leaf
        self.index = index
    }

    private func requireOrder(after key: UnsafeRawBufferPointer, _ direction: Int) throws(LMDBError) {
        guard let leaf else { return }
        let step = unsafe tree.order.compare(try leaf.node(index).key, key)
        guard step.signum() == direction else { throw .damaged("the keys of a table are not in order") }
    }
}
