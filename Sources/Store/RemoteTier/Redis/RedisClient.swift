// One server or a cluster: which command goes where, and what happens when a server says that it goes elsewhere.

internal import KVFormat
internal import Threads

/// A client of Redis and Valkey. Thread-safe. Its threads start at first need; whoever makes it closes it.
final class RedisClient: Sendable {
    /// How often a command follows a redirection, or is tried on another server.
    private static let rounds = 5
    /// How soon the servers of a cluster are asked again for its slots.
    private static let refreshPause: UInt64 = 200_000_000
    /// Servers of the map that a refresh asks at most, besides those that the user has named.
    private static let askedForMap = 8

    private struct State {
        var map = SlotMap()
        var nodes: [NodeAddress: Node] = [:]
        var isRefreshing = false
        var refreshedAt: UInt64 = 0
        /// Whether the slots are known, or could not be learned.
        var isDecided = false
        var isClosed = false
        /// Servers at most: those of the map and of the user, and some that redirections have named.
        var nodeLimit: Int
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
        var first = State(nodeLimit: seeds.count + SlotMap.strangerLimit)
        if !settings.isCluster {
            first.map = SlotMap(all: SlotMap.Shard(primary: seeds[0], replicas: Array(seeds.dropFirst())))
            first.isDecided = true
        }
        state = Guarded(first)
    }

    /// Begins to connect, so that the first look-up need not wait for that.
    func prepare() {
        if settings.isCluster { refresh() } else { node(seeds[0])?.prepare() }
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

    /// Whether the servers are a cluster.
    var isCluster: Bool { settings.isCluster }

    /// The servers of the map.
    var map: SlotMap { state.withLock { $0.map } }

    /// The server of an address; nil when servers have named too many that the map does not know, or the client is
    /// closed.
    func node(_ address: NodeAddress) -> Node? {
        state.withLock { state in
            if let known = state.nodes[address] { return known }
            guard !state.isClosed, state.nodes.count < state.nodeLimit else { return nil }
            let node = Node(address, settings, errands)
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
        var waiting = commands.indices.map { RoutedCommand(index: $0, target: server, isBound: server != nil) }
        // The first reason why a command has no reply, however well the others go on.
        var fault: RemoteFault?
        var passing: RemoteFault?
        for _ in 0..<Self.rounds where !waiting.isEmpty {
            var exchange = Exchange(
                commands, stall: stall, follows: settings.isCluster, namesServers: settings.isCluster || seeds.count > 1
            )
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
            if outcome.mapIsOld || outcome.fault != nil || outcome.passingFault != nil { refresh() }
            fault = fault ?? outcome.fault
            passing = outcome.passingFault
            waiting = outcome.again
            if deadline.hasPassed { return waiting.isEmpty ? fault : fault ?? .late }
        }
        return waiting.isEmpty ? fault : fault ?? passing ?? .noOwner
    }

    /// Where a command goes: its slot's primary, or a replica if the primary is down and nothing is changed.
    private func owner(of item: RoutedCommand, _ command: RedisCommand) -> Node? {
        if let address = item.target { return node(address) }
        let shard = state.withLock { state in
            command.slot.map { state.map[$0] } ?? state.map.shards.randomElement()
        }
        guard let shard, let primary = node(shard.primary) else { return nil }
        guard !command.changes, !shard.replicas.isEmpty else { return primary }
        guard readsReplicas || primary.isDown || item.avoided == shard.primary else { return primary }
        if primary.isDown { primary.prepare() }
        var candidates = shard.replicas.compactMap { node($0) }
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
            guard settings.isCluster, !state.isRefreshing, !state.isClosed,
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
        let (known, nodes) = state.withLock { ($0.map.addresses, Array($0.nodes.values)) }
        // Those that have just failed come last, and chance picks some of many: the next refresh picks others.
        let down = Set(nodes.filter(\.isDown).map(\.address))
        let shuffled = known.shuffled()
        let chosen = (shuffled.filter { !down.contains($0) } + shuffled.filter { down.contains($0) })
            .prefix(Self.askedForMap)
        var candidates: [NodeAddress] = []
        for address in chosen + seeds.shuffled() where !candidates.contains(address) { candidates.append(address) }
        for address in candidates {
            guard let node = node(address) else { continue }
            let deadline = Deadline.after(.milliseconds(500))
            do throws(RemoteFault) {
                let connection = try node.connected(before: deadline)
                let reply = try connection.ask(
                    RedisCommand("CLUSTER", "SLOTS", hasLongAnswer: true), before: deadline)
                // Somebody who knows the slots need not be quick with anything else: the breaker stays as it is.
                node.add(connection)
                guard let map = SlotMap(reply, asked: address), !map.shards.isEmpty else { continue }
                return finishRefresh(map)
            } catch {
                node.note(error, .question)
            }
            if state.withLock({ $0.isClosed }) { break }
        }
        finishRefresh(nil)
    }

    private func finishRefresh(_ map: SlotMap?) {
        let gone = state.withLock { state in
            defer {
                state.isRefreshing = false
                state.isDecided = true
                state.refreshedAt = SystemClock.monotonicNanoseconds()
            }
            guard let map else { return [Node]() }
            state.map = map
            let named = Set(map.addresses + seeds)
            state.nodeLimit = named.count + SlotMap.strangerLimit
            // Servers that the cluster no longer has: their connections end with them.
            let gone = state.nodes.filter { !named.contains($0.key) }
            for address in gone.keys { state.nodes[address] = nil }
            return Array(gone.values)
        }
        state.broadcast()
        for node in gone { node.close() }
    }
}
