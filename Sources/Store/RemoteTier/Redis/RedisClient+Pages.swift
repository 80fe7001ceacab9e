// Pages as values of Redis: one value per page, under a key that is made of its prefix hash.

internal import KVFormat
internal import PageCodec
internal import Records
internal import Threads

extension RedisClient: RemoteClient {
    var faults: [String] { nodeFaults.map { "\($0.key): \($0.value.text)" }.sorted() }

    /// The key of a page's value.
    static func key(ofPage hash: PrefixHash) -> [UInt8] { Array("pfx:1:p:\(hash)".utf8) }
    /// The key of a space's descriptor.
    static func key(ofSpace root: PrefixHash) -> [UInt8] { Array("pfx:1:s:\(root)".utf8) }

    static func exists(_ hash: PrefixHash) -> RedisCommand {
        let key = key(ofPage: hash)
        return RedisCommand([Array("EXISTS".utf8), key], slot: SlotMap.slot(of: key))
    }

    static func get(_ key: [UInt8], weight: Int = 16) -> RedisCommand {
        RedisCommand([Array("GET".utf8), key], slot: SlotMap.slot(of: key), weight: weight)
    }

    func run(_ commands: [RedisCommand], _ patience: Patience, _ onReply: (Int, RespValue) -> Bool) -> RemoteFault? {
        run(commands, before: patience.deadline, stall: patience.stall, onReply)
    }

    /// The same where a refusal of one command is the call's fault: only look-ups take it for a miss.
    func demand(
        _ commands: [RedisCommand], on server: NodeAddress? = nil, _ patience: Patience,
        _ onReply: (Int, RespValue) -> Bool
    ) -> RemoteFault? {
        var refused: RemoteFault?
        let fault = run(commands, on: server, before: patience.deadline, stall: patience.stall) { index, reply in
            guard let lack = reply.lack else { return onReply(index, reply) }
            refused = refused ?? lack
            return true
        }
        return fault ?? refused
    }

    // MARK: Looking up

    /// Pages that are asked about at once.
    private static let questionLimit = 256
    /// Pages that are asked about in a step, of a chain that is longer.
    private static let probes = 64

    /// A long chain is asked about in steps: what lies before a page that is there counts as there too, for pages are
    /// put in their order.
    func leading(_ chain: [PrefixHash], behind earlier: [PrefixHash], _ patience: Patience) -> LeadingPages {
        var found = LeadingPages()
        var bound = chain.count
        // The first page that a server has said it does not have.
        var missing: Int?
        while bound - found.count > Self.questionLimit {
            let step = (bound - found.count) / Self.probes
            let places = (1...Self.probes).map { found.count + step * $0 - 1 }
            let run = ask(chain, at: places, patience, &found)
            guard run.isSure || run.count > 0 else { break }
            if run.count < places.count { bound = places[run.count] }
            if run.isSure, run.count < places.count { missing = bound }
            if run.count > 0 { found.count = places[run.count - 1] + 1 }
            if !run.isSure { bound = min(bound, found.count + Self.questionLimit) }
        }
        let places = Array(found.count..<min(bound, found.count + Self.questionLimit))
        let run = ask(chain, at: places, patience, &found)
        found.count += run.count
        if run.isSure, run.count < places.count { missing = found.count }
        found.isSure = found.count == chain.count || missing == found.count
        return found
    }

    /// How many of the pages at these places are there, from the first on, and whether the next one is known not to be.
    private func ask(
        _ hashes: [PrefixHash], at places: [Int], _ patience: Patience, _ found: inout LeadingPages
    ) -> (count: Int, isSure: Bool) {
        guard !places.isEmpty else { return (0, true) }
        var there = [Bool?](repeating: nil, count: places.count)
        found.questions += 1
        let fault = run(places.map { Self.exists(hashes[$0]) }, patience) { index, reply in
            if case .integer(let count) = reply { there[index] = count > 0 }
            return true
        }
        if fault == .late { found.isLate = true }
        let count = there.firstIndex { $0 != true } ?? there.count
        return (count, count == there.count || there[count] == false)
    }

    func held(_ chains: [[PrefixHash]], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash> {
        let hashes = chains.flatMap { $0 }
        var held: Set<PrefixHash> = []
        let fault = demand(hashes.map { Self.exists($0) }, patience) { index, reply in
            if case .integer(let count) = reply, count > 0 { held.insert(hashes[index]) }
            return true
        }
        if let fault { throw fault }
        return held
    }

    // MARK: Values

    func fetch(
        _ hashes: [PrefixHash], pageBytes: Int, _ patience: Patience, _ onValue: (Int, FetchedValue) -> Bool
    ) -> RemoteFault? {
        let commands = hashes.map { Self.get(Self.key(ofPage: $0), weight: pageBytes) }
        return demand(commands, patience) { index, reply in
            if case .null = reply { return onValue(index, .nothing) }
            // A list or a hash under the key, whoever has put it there.
            return onValue(index, reply.value.map { .value($0) } ?? .unreadable(isCopied: false))
        }
    }

    func put(
        _ pages: [RemotePut], timeToLive: Duration?, _ patience: Patience, _ onOutcome: (Int, TakeOutcome) -> Void
    ) -> RemoteFault? {
        let commands = pages.map { put in
            var settings = put.replaces ? [] : ["NX"]
            if let timeToLive { settings += ["EX", "\(timeToLive.components.seconds)"] }
            return RedisCommand(
                set: Self.key(ofPage: put.page.name.hash),
                WirePage.header(put.page.name, recordBytes: put.page.bytes.encodedBytes), put.page.bytes,
                options: settings)
        }
        var refused: RemoteFault?
        let fault = run(commands, patience) { index, reply in
            switch reply {
            case .null: onOutcome(index, .alreadyThere)
            // A full server is no error of the call: those pages have no room.
            case .error where reply.errorCode == "OOM": onOutcome(index, .noRoom)
            case .error: refused = refused ?? reply.refusal
            case _ where reply.isOK: onOutcome(index, .stored)
            default: refused = .nonsense
            }
            return true
        }
        return fault ?? refused
    }

    /// A put replaces a damaged value; nothing else is to be known of it.
    func distrust(_ hash: PrefixHash, withNeighbours: Bool) -> Bool { false }

    // MARK: Spaces

    func put(space: SpaceDescriptor, timeToLive: Duration?, _ patience: Patience) throws(RemoteFault) {
        let key = Self.key(ofSpace: space.root)
        var words = [Array("SET".utf8), key, space.encoded]
        if let timeToLive { words += ["EX", "\(timeToLive.components.seconds)"].map { Array($0.utf8) } }
        let command = RedisCommand(words, slot: SlotMap.slot(of: key), changes: true)
        if let fault = demand([command], patience, { _, _ in true }) { throw fault }
    }

    func space(_ root: PrefixHash, _ patience: Patience) throws(RemoteFault) -> [UInt8]? {
        var bytes: [UInt8]?
        let fault = demand([Self.get(Self.key(ofSpace: root))], patience) { _, reply in
            bytes = reply.value.map { value in unsafe value.bytes.withUnsafeBytes { unsafe Array($0) } }
            return true
        }
        if let fault { throw fault }
        return bytes
    }
}

extension RespValue {
    /// The bytes of a string, whatever its length; nil for anything else.
    var value: EncodedRecord? {
        switch self {
        case .bulk(let record): record
        case .text(let bytes): EncodedRecord(copying: unsafe bytes.span.bytes)
        default: nil
        }
    }
}
