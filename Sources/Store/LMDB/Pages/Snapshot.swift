// The trees that a transaction sees, read from its meta page and the tree of tables below it.

/// A tree, with what a look-up in it needs.
struct Tree: Sendable, Equatable {
    /// The page at the top; `PageMap.none` when the tree is empty.
    let root: UInt64
    let order: KeyOrder
    /// How many keys LMDB says that it has.
    let entries: Int

    /// Nothing: what a table is for a snapshot from before it was made.
    static let empty = Tree(root: PageMap.none, order: .bytes, entries: 0)

    init(root: UInt64, order: KeyOrder, entries: Int) {
        self.root = root
        self.order = order
        self.entries = entries
    }

    init(_ record: TreeRecord, order: KeyOrder = .bytes) {
        self.init(root: record.root, order: order, entries: Int(clamping: record.entries))
    }
}

/// What a commit left: where each tree begins. Immutable; all transactions that see the same commit share one.
final class Snapshot: Sendable {
    /// The number of the commit.
    let transaction: Int
    let meta: MetaPage
    let lastPage: UInt64
    let freeList: Tree
    let main: Tree
    /// The trees of the tables that this process has open, by the number of LMDB's handle; nil for a tree whose
    /// description cannot be right.
    private let tables: [Tree?]

    /// Reads the trees of the commit that `meta` describes.
    ///
    /// - Throws: `.damaged` when the tree of tables is not sound as a whole. It has one page, and LMDB itself walks it
    ///   whenever it opens or changes a table.
    init(_ meta: MetaPage, in pages: PageMap, handles: [Table]) throws(LMDBError) {
        transaction = Int(meta.transaction)
        self.meta = meta
        lastPage = meta.lastPage
        freeList = Tree(meta.freeList, order: .integers)
        main = Tree(meta.main)
        var tables = [Tree?](repeating: .empty, count: (handles.map { Int($0.handle) }.max() ?? 0) + 1)
        for (name, record) in try pages.describedTrees(in: main) {
            guard let table = handles.first(where: { Array($0.name.utf8) == name }) else { continue }
            tables[Int(table.handle)] = record.flags == 0 && record.isPossible(lastPage) ? Tree(record) : nil
        }
        self.tables = tables
    }

    /// The tree of a table.
    func tree(_ table: Table) throws(LMDBError) -> Tree {
        guard table != .freeList else { return freeList }
        guard table != .list else { return main }
        let index = Int(table.handle)
        guard index < tables.count else { return .empty }
        guard let tree = tables[index] else { throw .damaged("the description of a table is damaged") }
        return tree
    }
}

extension PageMap {
    /// The names and descriptions of all tables, after a check of all pages of the tree that has them.
    func describedTrees(in main: Tree) throws(LMDBError) -> [(name: [UInt8], record: TreeRecord)] {
        var trees: [(name: [UInt8], record: TreeRecord)] = []
        try walk(main) { (page) throws(LMDBError) in
            try page.check(in: self, .tables)
            guard page.isLeaf else { return }
            for index in 0..<page.count {
                let node = try page.node(index)
                let bytes = unsafe try page.inlineBytes(node)
                guard node.flags == TreeNode.tree, bytes.count == TreeRecord.byteCount, let start = bytes.baseAddress
                else { throw .damaged("the tree of tables holds something else than tables") }
                trees.append((unsafe Array(node.key), unsafe TreeRecord(start)))
            }
        }
        return trees
    }

    /// Lends all pages of a tree, each before those below it.
    ///
    /// - Throws: `.damaged` for a page that is not one of a tree, a tree that is too deep, or more pages than the file
    ///   has: a tree whose damage has made a circle ends there.
    func walk(_ tree: Tree, _ body: (TreePage) throws(LMDBError) -> Void) throws(LMDBError) {
        guard tree.root != Self.none else { return }
        var waiting = [(number: tree.root, level: 1)]
        var left = count
        while let (number, level) = waiting.popLast() {
            guard left > 0, level <= Self.levels else { throw .damaged("a tree does not end") }
            left -= 1
            let page = try TreePage(number, in: self)
            try body(page)
            guard !page.isLeaf else { continue }
            for index in (0..<page.count).reversed() { waiting.append((try page.node(index).child, level + 1)) }
        }
    }
}
