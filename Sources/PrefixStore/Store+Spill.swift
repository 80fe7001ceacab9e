// Which pages go down to the cold tier, and when: the write policies.

internal import ColdTier
internal import HotTier
internal import Threads

extension Space {
    /// Queues the pages of a match that have now been used often enough.
    func spillAfterHits(_ lease: borrowing HotMatch) {
        guard case .afterHits(let threshold) = store.options.writePolicy else { return }
        for page in (0..<lease.pageCount).reversed() where lease.hits(ofPage: page) >= threshold {
            // The path to this page covers all pages before it.
            store.spill(pathTo: lease.hash(ofPage: page), in: state)
            return
        }
    }
}

extension Store {
    /// Queues a hot page for the cold tier, its ancestors that are not stored yet before it: a page without its parent could
    /// never be found.
    func spill(pathTo hash: PrefixHash, in space: SpaceState) { spill(space.hot.dirtyPath(to: hash), in: space) }

    /// Queues every page that is only in RAM, parents first.
    func spillDirtyPages() {
        for space in openSpaces { spill(space.hot.dirtyPages(), in: space) }
    }

    /// In write-back mode a page that is about to leave RAM goes to disk instead of being lost.
    func adoptEvictions() {
        guard options.writePolicy == .writeBack else { return }
        hot.spillBeforeEvict { [weak self] root, hash in
            guard let self, let space = self.spaceState(root) else { return }
            self.spill(pathTo: hash, in: space)
        }
    }

    /// Queues hot pages. Each pin keeps its page's bytes until they are encoded.
    private func spill(_ pins: [HotPin], in space: SpaceState) {
        let now = Clock.wallMilliseconds()
        let hot = space.hot
        for pin in pins {
            let hash = pin.hash
            let job = SpillJob(
                hash: hash, parent: pin.parentHash, root: space.root, firstToken: pin.firstToken, tokens: pin.tokens,
                layout: space.layout, now: now, uses: pin.hits, source: pin.source, keepAlive: pin,
                onDone: { outcome in
                    switch outcome {
                    case .stored, .alreadyThere: hot.markStored(hash)
                    case .orphan, .failed, .dropped: hot.markDirty(hash)
                    }
                })
            _ = writer.enqueue(job)
        }
    }
}
