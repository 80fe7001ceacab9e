// LMDB's list of the pages that can be used again.

/// One entry of the list: the pages that one commit gave up.
///
/// The value is a count of 8 bytes and that many page numbers of 8 bytes, from the largest to the smallest.
extension PageMap {
    /// Lends every page number of the list, after a check of all pages of its tree.
    ///
    /// - Throws: `.damaged` when an entry is too short, its numbers do not fall or lead outside the file, or the keys
    ///   do not rise, or a search for one leads to another page: LMDB ends the process then.
    func freePages(_ list: Tree, _ body: (UInt64) throws(LMDBError) -> Void) throws(LMDBError) {
        var last: UInt64?
        try walk(list) { (page) throws(LMDBError) in
            try page.check(in: self, .freeList)
            guard page.isLeaf else { return }
            for index in 0..<page.count {
                let key = unsafe try page.node(index).key
                let commit = unsafe key.loadUnaligned(as: UInt64.self)
                guard last.map({ $0 < commit }) ?? true else { throw .damaged("the free list is not in order") }
                last = commit
                guard index == 0 || index == page.count - 1 else { continue }
                let found = unsafe try descend(from: list.root, list.order, to: .key(key)).leaf
                guard found.number == page.number else { throw .damaged("the free list is not in order") }
            }
            for index in 0..<page.count {
                let value = unsafe try page.value(try page.node(index), in: self, givingBack: true)
                unsafe try freePages(of: value, body)
            }
        }
    }

    private func freePages(
        of value: UnsafeRawBufferPointer, _ body: (UInt64) throws(LMDBError) -> Void
    ) throws(LMDBError) {
        guard value.count >= 8 else { throw .damaged("an entry of the free list is too short") }
        let numbers = unsafe value.loadUnaligned(as: UInt64.self)
        guard numbers < UInt64(value.count / 8) else { throw .damaged("an entry of the free list is too short") }
        var last = count
        for index in 0..<Int(numbers) {
            let number = unsafe value.loadUnaligned(fromByteOffset: 8 + 8 * index, as: UInt64.self)
            guard number >= Self.first, number < last else {
                throw .damaged("the page numbers of the free list are impossible")
            }
            last = number
            try body(number)
        }
    }
}
