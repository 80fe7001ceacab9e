// What must hold between any two calls. Only tests check it, after every change.

internal import KVFormat

extension TierState {
    /// What is wrong; empty unless there is a bug. Checks every node, token id and seat, and hashes every page again.
    func checkInvariants() -> [String] {
        var faults = order.checkInvariants()
        let pages = tree.nodes.indices.map(Int32.init).filter { tree.nodes[Int($0)].isPage }
        for node in pages {
            faults += faultsOfPage(node)
            faults += faultsOfNeighbours(node)
        }
        faults += faultsOfEvictionOrder(pages)
        faults += faultsOfSeats(pages)
        if pages.count != tree.pageCount { faults.append("\(pages.count) pages, but \(tree.pageCount) are counted") }
        if tree.index.count != pages.count + tree.spaces.count { faults.append("the hash index has another count") }
        let reached = tree.spaces.reduce(0) { $0 + tree.subtree(of: $1.rootNode).count - 1 }
        if reached != pages.count {
            faults.append("\(reached) of \(pages.count) pages can be reached from their roots")
        }
        let pinned = pages.count { tree.nodes[Int($0)].pins > 0 }
        if pinned != pinnedPages { faults.append("\(pinned) pages are pinned, but \(pinnedPages) are counted") }
        return faults
    }

    private func faultsOfPage(_ node: Int32) -> [String] {
        var faults: [String] = []
        let page = tree.nodes[Int(node)]
        let parent = tree.nodes[Int(page.parent)]
        let space = tree.spaces[Int(page.space)]
        let run = space.runs.read(page.row, count: Int(page.tokenCount))
        if parent.space != page.space { faults.append("page \(node) follows a page of another space") }
        if parent.depth != page.depth - 1 { faults.append("page \(node) has a wrong depth") }
        if parent.isPage && Int(parent.tokenCount) != space.layout.pageSize {
            faults.append("page \(node) follows a tail")
        }
        if run.isEmpty || run.count > space.layout.pageSize { faults.append("page \(node) has \(run.count) tokens") }
        if PrefixHash.page(after: parent.hash, tokens: run[...], seal: space.seal) != page.hash {
            faults.append("page \(node) has token ids that are not those of its hash")
        }
        if tree.page(page.hash) != node { faults.append("page \(node) is not found by its hash") }
        if tree.subtree(of: node).count(where: { tree.nodes[Int($0)].parent == node }) != Int(page.childCount) {
            faults.append("page \(node) counts its successors wrong")
        }
        if page.isSuperseded && page.pins == 0 { faults.append("page \(node) should have gone with its last pin") }
        if page.pins < 0 { faults.append("page \(node) has \(page.pins) pins") }
        return faults
    }

    private func faultsOfNeighbours(_ node: Int32) -> [String] {
        var faults: [String] = []
        let page = tree.nodes[Int(node)]
        for (neighbour, isLeft) in [(page.left, true), (page.right, false)] where neighbour != RadixNode.none {
            if tree.nodes[Int(neighbour)].parent != page.parent { faults.append("page \(node) has a false neighbour") }
            if tree.isBefore(neighbour, node) != isLeft { faults.append("page \(node) has neighbours out of order") }
            if tree.isAbove(neighbour, node) { faults.append("page \(node) stands below what it should be above") }
        }
        return faults
    }

    private func faultsOfEvictionOrder(_ pages: [Int32]) -> [String] {
        var faults: [String] = []
        for node in pages {
            let page = tree.nodes[Int(node)]
            let expected = page.isEvictable ? EvictionOrder.place(of: page) : nil
            if order.place(of: node) != expected {
                faults.append("page \(node) has a wrong place in the eviction order")
            }
        }
        if order.count != pages.count(where: { tree.nodes[Int($0)].isEvictable }) {
            faults.append("the eviction order has nodes that are no evictable pages")
        }
        return faults
    }

    private func faultsOfSeats(_ pages: [Int32]) -> [String] {
        var faults: [String] = []
        var seats: [Int32: [Int32]] = [:]
        var inUse = 0
        for node in pages {
            switch tree.nodes[Int(node)].body {
            case .record(let seat):
                seats[seat.pool, default: []].append(seat.index)
                inUse += 1
            case .staged:
                if staged[node] == nil { faults.append("page \(node) has lost its staged bytes") }
                if tree.nodes[Int(node)].pins == 0 { faults.append("nobody will encode page \(node)") }
            case .none: break
            }
        }
        if staged.keys.contains(where: { tree.nodes[Int($0)].body != .staged }) {
            faults.append("staged bytes are kept for a page that has none")
        }
        for (index, pool) in arena.pools.enumerated() {
            var seen = Set(pool.free).union(pool.discarded)
            if seen.count != pool.free.count + pool.discarded.count { faults.append("pool \(index) has a seat twice") }
            let taken = seats[Int32(index)] ?? []
            for seat in taken where !seen.insert(seat).inserted { faults.append("two pages share a seat") }
            let inFlight = pool.used - taken.count
            if inFlight < 0 || inFlight > seatsInFlight || seen.count + inFlight != Int(pool.highWater) {
                faults.append("pool \(index) has lost a seat")
            }
        }
        let used = arena.pools.reduce(0) { $0 + $1.used }
        if used != inUse + seatsInFlight { faults.append("\(used) seats in use for \(inUse) records") }
        for space in tree.spaces
        where space.runs.used != pages.count(where: { tree.nodes[Int($0)].space == space.index }) {
            faults.append("the rows of space \(space.index) are counted wrong")
        }
        if arena.residentBytes != arena.pools.reduce(0, { $0 + $1.residentBytes }) {
            faults.append("the resident bytes are counted wrong")
        }
        if arena.residentBytes > arena.capacity { faults.append("the budget is passed") }
        return faults
    }
}
