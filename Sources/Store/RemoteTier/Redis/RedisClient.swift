// One server or a cluster: which command goes where, and what happens when a server says that it goes elsewhere.

internal import KVFormat
internal import Threads

/// A client of Redis and Valkey. Thread-safe. Its threads start at first need; whoever makes it closes it.
final class RedisClient: Sendable {
    /// How often a command follows a redirection, or is tried on another server.
    private static let rounds = 5
    /// How soon the servers of a cluster are asked again for its slots.
    private static let refreshPause: UInt64 = 200_000_000

    private struct State {
        var map = SlotMap()
        var nodes: [NodeAddress: Node] = [:]
        var isRefreshing = false
        var refreshedAt: UInt64 = 0
        /// Whether the slots are known, or could not be learned.
        var isDecided = false
        var isClosed = false
    }

    private let settings: ConnectionSettings
    private let seeds: [NodeAddress]
    private let readsReplicas: Bool
    private let errands = Errands()
    private let state: Guarded<State>

    /// - Parameters:
    ///   - seeds: servers that the user has named: of a cluster any, otherwise the primary and then its replicas.
    ///   - readsReplicas: whether replicas are asked too while the primary is well.
    init(_ seeds: [NodeAddress], _ settings: ConnectionSettings, readsReplicas: Bool) {
        self.seeds = seeds
        self.settings = settings
        self.readsReplicas = readsReplicas
        var first = State()
        if !settings.isCluster {
            first.map = SlotMap(all: SlotMap.Shard(primary: seeds[0], replicas: Array(seeds.dropFirst())))
            first.isDecided = true
        }
        state = Guarded(first)
    }

    /// Begins to connect, so that the first look-up need not wait for that.
    func prepare() {
        if settings.isCluster { refresh() } else { node(seeds[0]).prepare() }
    }

    /// Ends the connections and threads; calls that run end soon.
    func close() {
        let nodes = state.withLock { state in
            state.isClosed = true
            return Array(state.nodes.values)
        }
        state.broadcast()
        for node in nodes { node.close() }
        errands.close()
    }

    /// The servers of the map.
    var map: SlotMap { state.withLock { $0.map } }

    /// The server of an address.
    func node(_ address: NodeAddress) -> Node {
        state.withLock { state in
            if let known = state.nodes[address] { return known }
            let node = Node(address, settings, errands)
            if state.isClosed { node.close() }
            state.nodes[address] = node
            return node
        }
    }

    /// What is wrong with servers, by address; those that are well are not there.
    var nodeFaults: [NodeAddress: RemoteFault] {
        let nodes = state.withLock { Array($0.nodes.values) }
        return Dictionary(uniqueKeysWithValues: nodes.compactMap { node in node.fault.map { (node.address, $0) } })
    }

    // MARK: Running commands

    /// Runs commands, and passes each reply with its command's place to `onReply`, on this thread, as replies come.
    /// Redirections are followed.
    ///
    /// - Parameters:
    ///   - server: the server that is asked; nil for the owners of the commands' slots.
    ///   - deadline: when it gives up.
    ///   - stall: how long it waits for a server that sends nothing and takes nothing.
    ///   - onReply: false ends the call early.
    /// - Returns: why the other commands have no reply; nil when all have one, or `onReply` has ended the call.
    func run(
        _ commands: [RedisCommand], on server: NodeAddress? = nil, before deadline: Deadline, stall: Duration,
        _ onReply: (Int, RespValue) -> Bool
    ) -> RemoteFault? {
        guard awaitMap(before: deadline) else { return deadline.hasPassed ? .late : .noOwner }
        var waiting = commands.indices.map { RoutedCommand(index: $0, target: server) }
        var fault: RemoteFault?
        for _ in 0..<Self.rounds where !waiting.isEmpty {
            var exchange = Exchange(commands, stall: stall)
            fault = nil
            for item in waiting {
                guard let node = owner(of: item, commands[item.index]) else {
                    fault = fault ?? .noOwner
                    continue
                }
                exchange.add(item, to: node)
            }
            let outcome = exchange.run(before: deadline, onReply)
            if outcome.isEnded { return nil }
            for (slot, address) in outcome.moved { noteMoved(slot, to: address) }
            if outcome.mapIsOld { refresh() }
            if let failed = outcome.fault {
                fault = failed
                if settings.isCluster { refresh() }
            }
            waiting = outcome.again
            if deadline.hasPassed { return waiting.isEmpty ? fault : .late }
        }
        return waiting.isEmpty ? fault : fault ?? .noOwner
    }

    /// Where a command goes: its slot's primary, or a replica if the primary is down and nothing is changed.
    private func owner(of item: RoutedCommand, _ command: RedisCommand) -> Node? {
        if let address = item.target { return node(address) }
        let shard = state.withLock { state in
            command.slot.map { state.map[$0] } ?? state.map.shards.randomElement()
        }
        guard let shard else { return nil }
        let primary = node(shard.primary)
        guard !command.changes, !shard.replicas.isEmpty else { return primary }
        guard readsReplicas || primary.isDown || item.avoided == shard.primary else { return primary }
        if primary.isDown { primary.prepare() }
        var candidates = shard.replicas.map { node($0) }
        if readsReplicas, item.avoided == nil { candidates.append(primary) }
        // The same slot goes to the same server, so that few connections are used; hosts differ in their choice.
        let well = candidates.filter { !$0.isDown && $0.address != item.avoided }
        return well.isEmpty ? primary : well[Int(command.slot ?? 0) % well.count]
    }

    // MARK: The map of a cluster

    private func awaitMap(before deadline: Deadline) -> Bool {
        guard settings.isCluster else { return true }
        let needsMap = state.withLock { $0.map.shards.isEmpty }
        guard needsMap else { return true }
        refresh()
        return state.withLock(when: { $0.isDecided || $0.isClosed }, before: deadline) { !$0.map.shards.isEmpty }
            ?? false
    }

    private func noteMoved(_ slot: UInt16, to address: NodeAddress) {
        state.withLock { $0.map.move(slot, to: address) }
        refresh()
    }

    /// Has a thread ask the servers for the slots, unless that was done a moment ago.
    private func refresh() {
        let now = SystemClock.monotonicNanoseconds()
        let begins = state.withLock { state in
            guard !state.isRefreshing, !state.isClosed,
                state.refreshedAt == 0 || now - min(now, state.refreshedAt) > Self.refreshPause
            else { return false }
            state.isRefreshing = true
            return true
        }
        guard begins else { return }
        let begun = errands.begin { self.learnMap() }
        if begun == nil { finishRefresh(nil) }
    }

    /// Asks one server after the other until one knows the slots.
    private func learnMap() {
        let known = state.withLock { $0.map.addresses }
        var candidates: [NodeAddress] = []
        for address in known.shuffled() + seeds.shuffled() where !candidates.contains(address) {
            candidates.append(address)
        }
        // Those that have just failed come last.
        let down = state.withLock { state in Set(state.nodes.values.filter(\.isDown).map(\.address)) }
        candidates = candidates.filter { !down.contains($0) } + candidates.filter { down.contains($0) }
        for address in candidates {
            let deadline = Deadline.after(.milliseconds(500))
            do throws(RemoteFault) {
                let connection = try Connection(address, settings, before: deadline)
                let reply = try connection.ask(RedisCommand("CLUSTER", "SLOTS"), before: deadline)
                guard let map = SlotMap(reply, asked: address), !map.shards.isEmpty else { continue }
                node(address).add(connection)
                return finishRefresh(map)
            } catch {
                node(address).note(error)
            }
            if state.withLock({ $0.isClosed }) { break }
        }
        finishRefresh(nil)
    }

    private func finishRefresh(_ map: SlotMap?) {
        state.withLock { state in
            if let map { state.map = map }
            state.isRefreshing = false
            state.isDecided = true
            state.refreshedAt = SystemClock.monotonicNanoseconds()
        }
        state.broadcast()
    }
}
