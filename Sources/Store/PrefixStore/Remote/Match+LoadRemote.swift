// Load: pages of the remote into the caller's memory, and on to the tiers of this host.
//
// A thread of the store receives, and the caller decodes behind it: so the network and the decoder work side by side,
// and nobody writes into the caller's memory but the caller.

internal import Records
internal import Threads

extension Match {
    /// How long a load may take that has no limit of its own. It ends long before when nothing comes.
    private static var longestLoad: Duration { .seconds(600) }

    /// Loads pages of the remote, the first of them page `first` of the match.
    ///
    /// - Returns: how many of the loads were delivered whole, from the first on.
    func loadRemote(
        _ loads: [RecordLoad], from first: Int, control: LoadControl, before deadline: Deadline?
    ) -> Int {
        guard let link = space.store.remote else { return 0 }
        let parent = first == 0 ? space.root : hash(ofPage: first - 1)
        let incoming = Incoming(loads, from: first, behind: parent, in: space, of: tokens, link.tier)
        let end = deadline ?? .after(Self.longestLoad)
        let withdraw = link.errands.begin(onDropped: { incoming.end() }, { incoming.receive(before: end) })
        guard let withdraw else { return 0 }
        defer {
            incoming.stop()
            withdraw()
        }
        var control = control
        control.isCancelled = { [isCancelled = control.isCancelled] in
            deadline?.hasPassed == true || isCancelled?() == true
        }
        var delivered = 0
        // The caller waits for the load, and nobody for the disk: writing begins when the pages are here, or when they
        // are as many as may wait to be written.
        let limit = Int(clamping: space.store.options.queueCapacity.value)
        var unkept: [(records: FetchedRecords, loads: ArraySlice<RecordLoad>)] = []
        var unkeptBytes = 0
        func keepAll() {
            for (records, loads) in unkept { keep(records, as: loads, before: deadline) }
            (unkept, unkeptBytes) = ([], 0)
        }
        defer { keepAll() }
        while delivered < loads.count {
            let ready = incoming.wait(for: delivered + 1, before: end) { control.isCancelled?() == true }
            guard ready > delivered else { break }
            var part = control
            // Layers are complete only when all pages are here.
            if ready < loads.count { part.onLayersReady = nil }
            let batch = Array(loads[delivered..<ready])
            let lent = incoming.take(delivered..<ready)
            let count = (try? space.store.loader.load(batch, of: space.layout, from: lent, control: part)) ?? 0
            if unkeptBytes + batch.count * space.layout.bytesPerPage > limit { keepAll() }
            unkept.append((lent, batch.prefix(count)))
            unkeptBytes += batch.count * space.layout.bytesPerPage
            delivered += count
            guard count == batch.count else { break }
        }
        return delivered
    }

    /// Keeps what was delivered on this host, so that it comes over the network once, and so that what is computed
    /// behind it finds its parent.
    private func keep(_ fetched: FetchedRecords, as loads: ArraySlice<RecordLoad>, before deadline: Deadline?) {
        let now = SystemClock.wallMilliseconds()
        let sound = zip(loads, fetched.pages).prefix { load, page in
            // What was decoded whole is right. The rest of a page may be wrong still.
            load.tokens == load.tokenCount && load.target.memory.isWhole || (try? page.bytes.verifyPayload()) != nil
        }
        for (_, page) in sound where space.keep(page.name, record: page.bytes, now, before: deadline) {
            space.store.remote?.keptPages.add(1)
        }
    }
}
