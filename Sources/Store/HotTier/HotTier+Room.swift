// Making room: the loop around the mutex.

internal import KVFormat
internal import Threads

extension HotTier {
    /// The most pages that are offered to the spill closure for one insert. A closure that only queues frees nothing at
    /// once. Without this limit, one insert would push the whole tier into its queue.
    static let offersPerInsert = 16

    /// Room for a record of `size` bytes; nil when nothing more can be evicted.
    func makeRoom(_ size: Int, now: Int64) -> Room? {
        for offers in 0... {
            let step = state.withLock {
                $0.makeRoom(size, offersUnstored: spillBeforeEvict != nil, now: now)
            }
            switch step {
            case .room(let room): return room
            case .none: return nil
            case .offer(let node):
                // The pin is adopted first, so that it is released in either case.
                let pin = state.withLock { adopt(node, of: $0) }
                guard offers < Self.offersPerInsert else { return nil }
                offer(pin, node)
            }
        }
        return nil
    }

    // The pin must outlast the mark. Without a pin, another thread could evict the page and reuse its node for another
    // page.
    private func offer(_ pin: SpillPin, _ node: Int32) {
        guard let spillBeforeEvict else { return }
        let isTakenOver = spillBeforeEvict(pin)
        withExtendedLifetime(pin) {
            state.withLock { state in
                if isTakenOver {
                    state.counters.handedOver += 1
                } else {
                    state.tree.nodes[Int(node)].isDroppable = true
                }
            }
        }
    }

    /// A pin object for `node`, which the caller has already pinned. Called under the mutex.
    func adopt(_ node: Int32, of state: TierState) -> SpillPin {
        let page = state.tree.nodes[Int(node)]
        let parent = state.tree.nodes[Int(page.parent)]
        return SpillPin(tier: self, record: state.tree.spaces[Int(page.space)], node: node, page, parent: parent.hash)
    }

    /// A new pin on `node`. Called under the mutex.
    func pinned(_ node: Int32, of state: inout TierState) -> SpillPin {
        state.pin(node)
        return adopt(node, of: state)
    }
}
