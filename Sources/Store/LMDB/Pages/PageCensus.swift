// What every page of the file belongs to: a tree, a large value, the free list, or nothing.

/// A count of all pages of one snapshot. A page has one owner: one that has two is overwritten some day while it is in
/// use, and one that has none is lost.
package struct PageCensus {
    /// Something that is not as LMDB leaves it.
    package struct Finding: Sendable, Equatable {
        /// Whether it is about the list of free pages, from which writers take pages that they overwrite.
        package let isFreeList: Bool
        /// What is wrong, in one sentence.
        package let sentence: String
    }

    /// What was found, the first `findingLimit` of it.
    package private(set) var findings: [Finding] = []
    /// How much was found, listed or not.
    package private(set) var findingCount = 0
    /// Findings that are listed.
    package static let findingLimit = 100

    private let pages: PageMap
    /// One bit for each page that has an owner.
    private var owned: [UInt64]
    /// As `owned`, for the pages of trees and of large values alone: the others are free.
    private var inUse: [UInt64] = []
    /// For each page of a tree, the bytes of the file between the list of its nodes and the nodes.
    private var gaps: [UInt64: Range<Int>] = [:]

    /// Counts the pages of a snapshot.
    init(_ pages: PageMap, _ snapshot: Snapshot) {
        self.pages = pages
        owned = [UInt64](repeating: 0, count: Int(clamping: snapshot.lastPage / 64) + 1)
        claim(0)
        claim(1)
        if pages.count <= snapshot.lastPage { add("The file has fewer pages than its header says.") }
        count("the free list", snapshot.meta.freeList, .freeList)
        count("the list of tables", snapshot.meta.main, .tables)
        do throws(LMDBError) {
            for (name, record) in try pages.describedTrees(in: snapshot.main) {
                count("the table \(String(decoding: name, as: UTF8.self))", record, .table)
            }
        } catch {
            add("The list of tables: \(error.what).")
        }
        inUse = owned
        countFreePages(snapshot.freeList)
        // Where a tree could not be read to its end, what lies below has no owner, and that is no news.
        if findings.isEmpty { countLostPages(snapshot.lastPage) }
    }

    private mutating func add(_ sentence: String, isFreeList: Bool = false) {
        findingCount += 1
        if findings.count < Self.findingLimit { findings.append(Finding(isFreeList: isFreeList, sentence: sentence)) }
    }

    /// Gives a page an owner; false when it has one.
    @discardableResult
    private mutating func claim(_ page: UInt64) -> Bool {
        let (word, bit) = (Int(page / 64), UInt64(1) << (page % 64))
        defer { owned[word] |= bit }
        return owned[word] & bit == 0
    }

    // MARK: Trees

    /// What the pages of a tree add up to.
    private struct Sums: Equatable {
        var branchPages: UInt64 = 0
        var leafPages: UInt64 = 0
        var overflowPages: UInt64 = 0
        var entries: UInt64 = 0
        var depth: UInt16 = 0
    }

    /// A page that is still to be looked at, and the keys that its own must lie between.
    @safe
    private struct Waiting {
        let number: UInt64
        let level: UInt16
        let low: UnsafeRawBufferPointer?
        let high: UnsafeRawBufferPointer?
    }

    private mutating func count(_ name: String, _ record: TreeRecord, _ kind: TreeKind) {
        let before = findingCount
        guard record.flags == (kind == .freeList ? TreeRecord.integerKeys : 0), record.isPossible(pages.count - 1)
        else {
            return add("Of \(name) the description is damaged.", isFreeList: kind == .freeList)
        }
        var sums = Sums()
        if record.root != PageMap.none {
            var waiting = [unsafe Waiting(number: record.root, level: 1, low: nil, high: nil)]
            while let next = waiting.popLast() {
                guard claim(next.number) else {
                    add("Page \(next.number) of \(name) is used twice.", isFreeList: kind == .freeList)
                    continue
                }
                do throws(LMDBError) {
                    try look(at: next, kind, &sums, &waiting)
                } catch {
                    add("Page \(next.number) of \(name): \(error.what).", isFreeList: kind == .freeList)
                }
            }
        }
        guard before == findingCount else { return }
        let stored = Sums(
            branchPages: record.branchPages, leafPages: record.leafPages, overflowPages: record.overflowPages,
            entries: record.entries, depth: record.depth)
        if stored != sums {
            add("Of \(name) the pages or keys are other than its description counts.", isFreeList: kind == .freeList)
        }
    }

    private mutating func look(
        at next: Waiting, _ kind: TreeKind, _ sums: inout Sums, _ waiting: inout [Waiting]
    ) throws(LMDBError) {
        let page = try TreePage(next.number, in: pages)
        try page.check(in: pages, kind)
        gaps[next.number] = page.gap
        guard next.level <= PageMap.levels else { throw .damaged("a tree does not end") }
        let order = kind == .freeList ? KeyOrder.integers : .bytes
        try unsafe requireOrder(page, order, next.low, next.high)
        guard page.isLeaf else {
            sums.branchPages += 1
            for index in 0..<page.count {
                let low = index == 0 ? unsafe next.low : unsafe try page.node(index).key
                let high = index + 1 < page.count ? unsafe try page.node(index + 1).key : unsafe next.high
                let child = try page.node(index).child
                unsafe waiting.append(Waiting(number: child, level: next.level + 1, low: low, high: high))
            }
            return
        }
        guard sums.depth == 0 || sums.depth == next.level else { throw .damaged("a leaf lies at another depth") }
        sums.depth = next.level
        sums.leafPages += 1
        sums.entries += UInt64(page.count)
        for index in 0..<page.count {
            let node = try page.node(index)
            guard node.isLarge else { continue }
            sums.overflowPages += try claimRun(page, node)
        }
    }

    /// Gives the pages of a large value to it.
    private mutating func claimRun(_ page: TreePage, _ node: TreeNode) throws(LMDBError) -> UInt64 {
        _ = unsafe try page.value(node, in: pages)
        let first = unsafe try page.inlineBytes(node).loadUnaligned(as: UInt64.self)
        let run = UInt64(unsafe PageHeader(try pages.address(first)).pages)
        guard run <= pages.count - first else { throw .damaged("the header of a large value has the wrong length") }
        for number in first..<first + run {
            guard claim(number) else { throw .damaged("page \(number) of a large value is used twice") }
        }
        return run
    }

    private func requireOrder(
        _ page: TreePage, _ order: KeyOrder, _ low: UnsafeRawBufferPointer?, _ high: UnsafeRawBufferPointer?
    ) throws(LMDBError) {
        var last = unsafe low
        var isFirst = true
        for index in (page.isLeaf ? 0 : 1)..<page.count {
            let key = unsafe try page.node(index).key
            if let last = unsafe last {
                // The first key of a page may be the one that leads to it.
                let step = unsafe order.compare(last, key)
                guard step < 0 || isFirst && step == 0 else { throw .damaged("its keys are not in order") }
            }
            unsafe last = key
            isFirst = false
        }
        if let last = unsafe last, let high = unsafe high, unsafe order.compare(last, high) >= 0 {
            throw .damaged("its keys are not in order")
        }
    }

    // MARK: Unused bytes

    /// The unused bytes around byte `offset` of the file, within its page: a free page, or the gap in a page of a tree.
    /// Nil for a byte that means something, and for all others of pages in use.
    func unused(around offset: Int) -> Range<Int>? {
        let page = UInt64(offset / pages.pageSize)
        let isInUse = page / 64 < inUse.count && inUse[Int(page / 64)] & 1 << (page % 64) != 0
        guard isInUse else {
            let start = Int(page) * pages.pageSize
            return start..<start + pages.pageSize
        }
        return gaps[page].flatMap { $0.contains(offset) ? $0 : nil }
    }

    // MARK: The free list

    private mutating func countFreePages(_ list: Tree) {
        do throws(LMDBError) {
            var free: [UInt64] = []
            try pages.freePages(list) { (number) throws(LMDBError) in free.append(number) }
            for number in free where !claim(number) {
                add("Page \(number) is on the free list and in use, or on it twice.", isFreeList: true)
            }
        } catch {
            add("The free list: \(error.what).", isFreeList: true)
        }
    }

    private mutating func countLostPages(_ lastPage: UInt64) {
        let lost = (0...lastPage).count { owned[Int($0 / 64)] & 1 << ($0 % 64) == 0 }
        if lost > 0 { add("\(lost) pages are neither in use nor on the free list.", isFreeList: true) }
    }
}

extension LMDBError {
    /// What is damaged, without a sentence around it.
    fileprivate var what: String { if case .damaged(let what) = self { what } else { "\(self)" } }
}

extension Environment {
    /// Looks at every page of a snapshot and counts what each belongs to. Damage of any kind is a finding.
    ///
    /// - Throws: as a read transaction that begins; an error whose `isDamage` is true when not even the list of tables
    ///   can be read.
    /// - Complexity: reads the pages of all trees once and the first page of every large value, in one read
    ///   transaction, during which writers cannot use freed pages again.
    package func census() throws(LMDBError) -> PageCensus {
        try read { (transaction) throws(LMDBError) in PageCensus(transaction.core.pages, transaction.core.snapshot) }
    }
}
