// Going down a tree to the leaf for a key.

/// Where a walk down a tree leads.
@safe
enum DescentTarget {
    /// The leaf in which the key is, or would be.
    case key(UnsafeRawBufferPointer)
    case first
    case last

    /// Which node of a branch page to follow.
    fileprivate func index(in page: TreePage, _ order: KeyOrder) throws(LMDBError) -> Int {
        switch self {
        case .key(let key): unsafe try page.child(for: key, order)
        case .first: 0
        case .last: page.count - 1
        }
    }
}

/// A leaf, and the pages beside the way to it.
struct Descent {
    let leaf: TreePage
    /// The page on top of what lies directly before the leaf; nil when nothing does.
    let left: UInt64?
    /// The page on top of what lies directly behind the leaf.
    let right: UInt64?
}

extension PageMap {
    /// Goes down from the page `root`, and lends each page on the way to `visit`.
    ///
    /// - Throws: `.damaged`, and what `visit` throws.
    func descend(
        from root: UInt64, _ order: KeyOrder, to target: DescentTarget,
        visit: (TreePage) throws(LMDBError) -> Void = { (_) throws(LMDBError) in }
    ) throws(LMDBError) -> Descent {
        var number = root
        var (left, right): (UInt64?, UInt64?)
        for _ in 0..<Self.levels {
            let page = try TreePage(number, in: self)
            try visit(page)
            guard !page.isLeaf else { return Descent(leaf: page, left: left, right: right) }
            let index = try target.index(in: page, order)
            if index > 0 { left = try page.node(index - 1).child }
            if index + 1 < page.count { right = try page.node(index + 1).child }
            number = try page.node(index).child
        }
        throw .damaged("a tree does not end")
    }

    /// The leaf for `key`: the way of most look-ups.
    func leaf(for key: UnsafeRawBufferPointer, in tree: Tree) throws(LMDBError) -> TreePage {
        var number = tree.root
        for _ in 0..<Self.levels {
            let page = try TreePage(number, in: self)
            guard !page.isLeaf else { return page }
            number = try page.node(unsafe try page.child(for: key, tree.order)).child
        }
        throw .damaged("a tree does not end")
    }

    /// The leaf and the node that has `key`; nil when there is none.
    func find(
        _ key: UnsafeRawBufferPointer, in tree: Tree
    ) throws(LMDBError) -> (leaf: TreePage, node: TreeNode)? {
        guard tree.root != Self.none else { return nil }
        let leaf = unsafe try leaf(for: key, in: tree)
        let place = unsafe try leaf.search(key, tree.order)
        return place.isEqual ? (leaf, try leaf.node(place.index)) : nil
    }

    /// The value under `key`.
    func value(under key: UnsafeRawBufferPointer, in tree: Tree) throws(LMDBError) -> UnsafeRawBufferPointer? {
        guard let (leaf, node) = unsafe try find(key, in: tree) else { return nil }
        return unsafe try leaf.value(node, in: self)
    }
}
