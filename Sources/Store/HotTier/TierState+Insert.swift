// Adding a page: the two steps of an insert that need the mutex. Between them the bytes are copied without it.

internal import KVFormat

/// The next step of an insert.
enum InsertStep {
    /// The page is not there. This node, its parent, is pinned now.
    case copy(parent: Int32)
    /// The insert is over.
    case done(InsertOutcome)
}

extension TierState {
    /// Looks for the page that is to be inserted, and pins its parent when it is missing.
    mutating func beginInsert(_ page: NewPage, in space: SpaceRecord) -> InsertStep {
        let parent = tree.node(page.name.parent, in: space)
        guard parent != RadixNode.none, tree.nodes[Int(parent)].depth == page.depth - 1,
            parent == space.rootNode
                || tree.nodes[Int(parent)].body != .none
                    && Int(tree.nodes[Int(parent)].tokenCount) == space.layout.pageSize
        else {
            counters.orphans += 1
            return .done(.orphan)
        }
        if useExisting(page, after: parent, in: space) { return .done(.alreadyThere) }
        pin(parent)
        return .copy(parent: parent)
    }

    /// Publishes the page whose bytes are in `body`, and releases the pin on `parent`.
    mutating func finishInsert(_ page: NewPage, _ body: PageBody, parent: Int32, in space: SpaceRecord) -> InsertOutcome
    {
        if case .record = body { seatsInFlight -= 1 }
        defer { unpin(parent) }
        // Another thread may have published the same page meanwhile.
        let isThere = useExisting(page, after: parent, in: space)
        guard !isThere, let row = space.runs.add(page.name.tokens) else {
            if case .record(let seat) = body { arena.give(seat) }
            return isThere ? .alreadyThere : .noRoom
        }
        let covered = tree.search(after: parent, page.name.tokens.span, space.runs).covered
        var node = RadixNode(
            hash: page.name.hash, use: PageUse(last: page.lastUse), parent: parent, depth: page.depth,
            space: space.index, row: row, tokenCount: Int32(page.name.tokens.count))
        node.body = body
        node.isStored = page.isStored
        node.expiry = page.expiry
        let added = tree.add(node)
        refresh(added)
        counters.inserted += 1
        if covered != RadixNode.none { supersede(covered) }
        return .inserted
    }

    /// Gives up an insert that found no room.
    mutating func abandonInsert(parent: Int32) {
        unpin(parent)
        counters.refused += 1
    }

    /// Whether a page after `parent` already has all token ids of `page`. If so, it counts as used. A page whose date
    /// has passed is replaced by the new one.
    private mutating func useExisting(_ page: NewPage, after parent: Int32, in space: SpaceRecord) -> Bool {
        let found = tree.search(after: parent, page.name.tokens.span, space.runs)
        guard found.common == page.name.tokens.count else { return false }
        let node = Int(found.best)
        if tree.nodes[node].isMiss(at: page.lastUse), removeExpired(found.best) { return false }
        tree.nodes[node].use.keep(at: page.lastUse)
        if page.isStored && tree.nodes[node].hash == page.name.hash {
            tree.nodes[node].isStored = true
            tree.nodes[node].expiry = page.expiry
        }
        refresh(found.best)
        counters.alreadyThere += 1
        return true
    }

    /// Removes `tail` now or with its last pin, because a longer page has everything that it has.
    private mutating func supersede(_ tail: Int32) {
        guard !tree.nodes[Int(tail)].isSuperseded else { return }
        counters.superseded += 1
        if tree.nodes[Int(tail)].isEvictable {
            drop(tail)
        } else {
            tree.nodes[Int(tail)].isSuperseded = true
        }
    }
}
