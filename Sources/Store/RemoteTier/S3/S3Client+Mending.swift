// Packs that are damaged: which of them no list can read, and how pages stay where look-ups find them.

internal import KVFormat
internal import PageCodec
internal import Threads

extension S3Client {
    /// What a pack begins with.
    enum PackFront {
        /// The index that its name says.
        case index(PackIndex)
        /// Something else.
        case unreadable
        /// There is no such pack.
        case gone
    }

    /// What packs of these names begin with.
    func fronts(_ names: [String], _ patience: Patience) throws(RemoteFault) -> [PackFront] {
        var fronts = [PackFront](repeating: .gone, count: names.count)
        let calls = names.map { name in
            HTTPCall(address: url.address(name), range: 0..<PackIndex.largest, parts: [PackIndex.largest])
        }
        let fault = run(calls, patience) { place, request in
            guard request.outcome == .ended, request.status != 404 else { return true }
            let bytes = request.bytes
            let index = PackIndex(unsafe bytes.span.bytes)
            let isRight = index.map { names[place] == Self.name(of: $0.name, $0.root) } ?? false
            fronts[place] = isRight ? index.map { .index($0) } ?? .unreadable : .unreadable
            return true
        }
        if let fault { throw fault }
        return fronts
    }

    /// Index objects lead to a pack that does not begin with its index: look-ups find its pages, lists do not.
    func unlisted(_ hashes: [PrefixHash], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash> {
        let now = SystemClock.monotonicNanoseconds()
        let places = state.withLock { state in
            hashes.compactMap { hash in state.packs.place(of: hash, at: now).map { (hash: hash, place: $0) } }
        }
        let groups = Array(Dictionary(grouping: places) { Self.name(of: $0.place.pack, $0.place.root) })
        var unlisted: Set<PrefixHash> = []
        for (group, front) in zip(groups, try fronts(groups.map(\.key), patience)) {
            guard case .unreadable = front, let pack = group.value.first?.place.pack else { continue }
            unlisted.formUnion(group.value.map(\.hash))
            state.withLock { state in
                if let index = state.packs.index(of: pack) { state.packs.noteBroken(index) }
            }
        }
        return unlisted
    }

    /// Puts the index of a pack before its values again. Values that are cut short stay as damaged as they are.
    func mendLists(_ patience: Patience) throws(RemoteFault) {
        for (pack, index) in state.withLock({ $0.packs.broken }) {
            let name = Self.name(of: pack, index.root)
            let size = index.size + index.entries.reduce(0) { $0 + $1.bytes }
            let call = HTTPCall(address: url.address(name), range: 0..<size, parts: [size])
            var whole: EncodedRecord?
            let fault = run([call], patience) { _, request in
                guard request.outcome == .ended, [206, 416].contains(request.status) else { return true }
                let room = unsafe request.parts[0].room
                for place in min(request.received, size)..<size { unsafe room[place] = 0 }
                whole = request.parts[0]
                return true
            }
            if let fault { throw fault }
            if let whole {
                unsafe whole.room.copyBytes(from: index.encoded)
                if let fault = run([put(name, whole, isNew: false)], patience, { _, _ in true }) { throw fault }
            }
            state.withLock { $0.packs.noteMended(pack) }
        }
    }

    /// Has look-ups find what follows a damaged page in its old pack, whose index object now leads to another one.
    func keepFollowers(of index: PackIndex, _ patience: Patience) -> RemoteFault? {
        let followers = state.withLock { $0.packs.followers(of: index) }
        return run(
            followers.map { follower in
                let front = EncodedRecord(copying: unsafe follower.index.encoded.span.bytes)
                return put("1/i/\(follower.hash)", front, isNew: true)
            }, patience
        ) { _, _ in true }
    }
}
