// Values of pages in an object store: fetched from packs by ranges, put as new packs.

internal import KVFormat
internal import PageCodec
internal import Records
internal import Threads

extension S3Client: RemoteClient {
    /// Bytes that one request asks for, unless one page has more: several requests share the way.
    private static let pieceBytes = 8 << 20
    /// Bytes of a pack, unless one page has more.
    private static let packBytes = 16 << 20

    /// The name of a pack.
    static func name(of pack: Digest, _ root: PrefixHash) -> String { "1/k/\(root)/\(pack)" }

    // MARK: Fetching

    /// Values that lie behind each other in a pack, of pages that are wanted behind each other.
    private struct Piece {
        let first: Int
        var places: [PagePlace]
        var bytes: Int { places.reduce(0) { $0 + $1.bytes } }

        func goesOn(with place: PagePlace) -> Bool {
            guard let last = places.last else { return false }
            return place.pack == last.pack && place.root == last.root && place.offset == last.offset + last.bytes
                && bytes + place.bytes <= S3Client.pieceBytes
        }
    }

    func fetch(
        _ hashes: [PrefixHash], pageBytes: Int, _ patience: Patience, _ onValue: (Int, FetchedValue) -> Bool
    ) -> RemoteFault? {
        if let fault = search([hashes], and: [], isLeading: false, patience).fault { return fault }
        var pieces: [Piece] = []
        let now = SystemClock.monotonicNanoseconds()
        let places = state.withLock { state in hashes.map { state.packs.place(of: $0, at: now) } }
        for (index, place) in places.enumerated() {
            // An encoded page is never much larger than the page; the header of its value is short.
            guard let place, place.bytes <= 2 * pageBytes + 1 << 20 else {
                state.withLock { $0.packs.doubt(hashes[index], at: now) }
                guard onValue(index, place == nil ? .nothing : .unreadable(isCopied: true)) else { return nil }
                continue
            }
            if let last = pieces.last, last.first + last.places.count == index, last.goesOn(with: place) {
                pieces[pieces.count - 1].places.append(place)
            } else {
                pieces.append(Piece(first: index, places: [place]))
            }
        }
        var delivered = pieces.map { _ in 0 }
        return run(pieces.map { call($0) }, patience) { number, request in
            let piece = pieces[number]
            // What has come whole is passed on while the rest is on its way.
            var end = piece.places[..<delivered[number]].reduce(0) { $0 + $1.bytes }
            while delivered[number] < piece.places.count {
                let part = delivered[number]
                end += piece.places[part].bytes
                guard request.received >= end else { break }
                delivered[number] += 1
                guard onValue(piece.first + part, .value(request.parts[part])) else { return false }
            }
            guard request.outcome == .ended, [206, 404, 416].contains(request.status) else { return true }
            // The pack was removed, or is not what its index says.
            let isGone = request.status == 404
            state.withLock { state in
                if isGone { return state.packs.lose(piece.places[0].pack, at: now) }
                // All that is cut off at once, also if the caller wants no more.
                for part in delivered[number]..<piece.places.count {
                    state.packs.doubt(hashes[piece.first + part], at: now)
                }
            }
            for part in delivered[number]..<piece.places.count {
                guard onValue(piece.first + part, isGone ? .nothing : .unreadable(isCopied: true)) else { return false }
            }
            return true
        }
    }

    private func call(_ piece: Piece) -> HTTPCall {
        let start = piece.places[0].offset
        return HTTPCall(
            address: url.address(Self.name(of: piece.places[0].pack, piece.places[0].root)),
            range: start..<start + piece.bytes, parts: piece.places.map(\.bytes))
    }

    // MARK: Putting

    /// Packs pages and puts the packs, and then the index objects that lead to them. Two hosts that put the same pages
    /// at once leave two packs at most, each of which is right.
    func put(
        _ pages: [RemotePut], timeToLive: Duration?, _ patience: Patience, _ onOutcome: (Int, TakeOutcome) -> Void
    ) -> RemoteFault? {
        let sizes = pages.map { put in
            WirePage.headerBytes(tokens: put.page.name.tokens.count, isSealed: put.page.name.seal != nil)
                + put.page.bytes.encodedBytes
        }
        var start = 0
        while start < pages.count {
            var (end, bytes) = (start, 0)
            while end < pages.count, end - start < PackIndex.pages,
                end == start || bytes + sizes[end] <= Self.packBytes,
                pages[end].page.name.root == pages[start].page.name.root
            {
                bytes += sizes[end]
                end += 1
            }
            if let fault = putPack(pages[start..<end], sizes[start..<end], patience) {
                // A full store is no error of the call: those pages have no room.
                guard fault == .full else { return fault }
                for place in start..<end { onOutcome(place, .noRoom) }
            } else {
                for place in start..<end { onOutcome(place, .stored) }
            }
            start = end
        }
        return nil
    }

    private func putPack(_ pages: ArraySlice<RemotePut>, _ sizes: ArraySlice<Int>, _ patience: Patience) -> RemoteFault?
    {
        guard let root = pages.first?.page.name.root else { return nil }
        let index = PackIndex(
            root: root, entries: zip(pages, sizes).map { PackIndex.Entry(hash: $0.page.name.hash, bytes: $1) })
        let front = index.encoded
        guard let pack = EncodedRecord(room: front.count + sizes.reduce(0, +)) else {
            return .unreachable("there is no memory for a pack")
        }
        var filled = 0
        func append(_ bytes: RawSpan) {
            unsafe bytes.withUnsafeBytes { bytes in
                unsafe UnsafeMutableRawBufferPointer(rebasing: pack.room[filled...]).copyMemory(from: bytes)
                filled += bytes.count
            }
        }
        append(unsafe front.span.bytes)
        for put in pages {
            append(unsafe WirePage.header(put.page.name, recordBytes: put.page.bytes.encodedBytes).span.bytes)
            append(put.page.bytes.bytes)
        }
        if let fault = run([put(Self.name(of: index.name, root), pack, isNew: false)], patience, { _, _ in true }) {
            return fault
        }
        if let fault = putIndex(index, pages, patience) ?? keepFollowers(of: index, patience) { return fault }
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { $0.packs.add(index, at: now) }
        return nil
    }

    /// How often index objects are put because another host was faster.
    private static let rounds = 4

    /// Puts an index under the keys of those pages by which hosts find it. What another host has put there meanwhile
    /// stays, unless it is of no use; then pages of which that host's pack has nothing get keys of their own.
    private func putIndex(_ index: PackIndex, _ pages: ArraySlice<RemotePut>, _ patience: Patience) -> RemoteFault? {
        let front = EncodedRecord(copying: unsafe index.encoded.span.bytes)
        let chains = PageName.chains(pages.lazy.map { (hash: $0.page.name.hash, parent: $0.page.name.parent) })
        let damaged = Set(pages.lazy.filter(\.replaces).map(\.page.name.hash))
        // One whose damaged copy is in another pack is looked for by its own key.
        var keys = chains.flatMap { chain in
            chain.prefix(1) + chain.dropFirst().filter { Self.isMilestone($0) || damaged.contains($0) }
        }
        for _ in 0..<Self.rounds {
            var isBeaten = false
            if let fault = putIndex(front, under: keys, damaged, patience, &isBeaten) { return fault }
            guard isBeaten else { break }
            // What leads to this pack does not count: hosts may not come by there.
            let now = SystemClock.monotonicNanoseconds()
            state.withLock { $0.packs.lose(index.name, at: now) }
            if let fault = search(chains, and: [], isLeading: false, patience).fault { return fault }
            keys = chains.flatMap { chain in gaps(in: chain).compactMap(\.first) }
        }
        return nil
    }

    private func putIndex(
        _ front: EncodedRecord, under keys: [PrefixHash], _ damaged: Set<PrefixHash>, _ patience: Patience,
        _ isBeaten: inout Bool
    ) -> RemoteFault? {
        let useless = state.withLock { state in
            keys.filter { !state.knowsConditions || state.packs.isStale($0) }
        }
        let replaced = damaged.union(useless)
        let calls = keys.map { put("1/i/\($0)", front, isNew: !replaced.contains($0)) }
        var unknown: [HTTPCall] = []
        let fault = run(calls, patience) { index, request in
            guard request.outcome == .ended else { return true }
            if [409, 412].contains(request.status) { isBeaten = true }
            if request.status == 501 { unknown.append(put("1/i/\(keys[index])", front, isNew: false)) }
            return true
        }
        guard fault == nil, !unknown.isEmpty else { return fault }
        state.withLock { $0.knowsConditions = false }
        return run(unknown, patience) { _, _ in true }
    }

    // MARK: Spaces

    /// Limit on the bytes of a descriptor.
    private static let descriptorBytes = 1 << 20

    func put(space: SpaceDescriptor, timeToLive: Duration?, _ patience: Patience) throws(RemoteFault) {
        let bytes = space.encoded
        let call = put("1/s/\(space.root)", EncodedRecord(copying: unsafe bytes.span.bytes), isNew: false)
        if let fault = run([call], patience, { _, _ in true }) { throw fault }
    }

    func space(_ root: PrefixHash, _ patience: Patience) throws(RemoteFault) -> [UInt8]? {
        var bytes: [UInt8]?
        let call = HTTPCall(address: url.address("1/s/\(root)"), parts: [Self.descriptorBytes])
        let fault = run([call], patience) { _, request in
            if request.outcome == .ended, request.status == 200 { bytes = request.bytes }
            return true
        }
        if let fault { throw fault }
        return bytes
    }
}
