// One round of commands with several servers at once: each has its pipeline, and one thread polls them all.

internal import Glibc
internal import KVFormat
internal import Threads

/// A command on its way, perhaps not for the first time.
struct RoutedCommand {
    /// Its place among the commands.
    let index: Int
    /// The server that another one has named; nil for the owner of its slot.
    var target: NodeAddress?
    /// Whether that server must be told that it is asked out of turn.
    var isAsking = false
    /// A server that has failed with it.
    var avoided: NodeAddress?
}

/// What became of a round.
struct ExchangeOutcome {
    /// Commands to try again, elsewhere or once more.
    var again: [RoutedCommand] = []
    /// Slots that have another owner now.
    var moved: [(slot: UInt16, address: NodeAddress)] = []
    /// Whether a server says that the map is not right.
    var mapIsOld = false
    /// Why some commands have no reply.
    var fault: RemoteFault?
    /// Whether the caller wanted no more.
    var isEnded = false
}

/// One round. Used by one thread.
struct Exchange {
    /// Bytes of replies that one server may have under way: enough to keep a fast network busy, and few enough that a
    /// server need not hold many copies.
    private static let window = 16 << 20

    /// What goes to one server.
    private final class Lane {
        let node: Node
        var connection: Connection?
        var waiting: [RoutedCommand] = []
        var next = 0
        /// Commands whose replies are to come, in order; nil for what only announces the next one.
        var sent: [RoutedCommand?] = []
        var firstSent = 0
        var weight = 0

        init(_ node: Node) { self.node = node }

        var isDone: Bool { next == waiting.count && firstSent == sent.count }
        /// Commands without a reply.
        var open: [RoutedCommand] { sent[firstSent...].compactMap { $0 } + waiting[next...] }
    }

    private let commands: [RedisCommand]
    private let stall: Duration
    private var lanes: [Lane] = []
    private var outcome = ExchangeOutcome()

    init(_ commands: [RedisCommand], stall: Duration) {
        self.commands = commands
        self.stall = stall
    }

    mutating func add(_ command: RoutedCommand, to node: Node) {
        if let lane = lanes.first(where: { $0.node === node }) {
            lane.waiting.append(command)
        } else {
            let lane = Lane(node)
            lane.waiting.append(command)
            lanes.append(lane)
        }
    }

    /// Runs the round.
    mutating func run(before deadline: Deadline, _ onReply: (Int, RespValue) -> Bool) -> ExchangeOutcome {
        for lane in lanes {
            lane.connection = lane.node.take(before: deadline)
            if lane.connection == nil {
                outcome.fault = lane.node.fault ?? .late
                retryElsewhere(lane)
            }
        }
        lanes.removeAll { $0.connection == nil }
        for lane in lanes {
            // An encoded page is never much larger than the page; the header of its value is short.
            let weight = lane.waiting.map { commands[$0.index].weight }.max() ?? 0
            lane.connection?.expect(strings: 2 * weight + 1 << 20)
        }
        var progressed = SystemClock.monotonicNanoseconds()
        let begun = progressed
        while lanes.contains(where: { !$0.isDone }), !outcome.isEnded {
            let stalled = Deadline(nanoseconds: progressed + UInt64(max(0, stall.nanoseconds)))
            guard let ready = poll(before: Deadline.earlier(deadline, stalled)) else {
                giveUp(begun)
                break
            }
            for (lane, isReady) in zip(lanes, ready) where isReady && !lane.isDone {
                if step(lane, onReply) { progressed = SystemClock.monotonicNanoseconds() }
            }
            lanes.removeAll { $0.connection == nil }
        }
        for lane in lanes { finish(lane) }
        return outcome
    }

    /// Sends what may be sent, and waits until a connection can go on; nil when the deadline has passed.
    private mutating func poll(before deadline: Deadline) -> [Bool]? {
        for lane in lanes where !lane.isDone { fill(lane) }
        lanes.removeAll { $0.connection == nil }
        var entries = lanes.map { lane in
            pollfd(
                fd: lane.isDone ? -1 : lane.connection?.descriptor ?? -1,
                events: lane.connection?.wantedEvents ?? 0, revents: 0)
        }
        if entries.allSatisfy({ $0.fd < 0 }) { return entries.map { _ in false } }
        while true {
            let count = unsafe Glibc.poll(&entries, nfds_t(entries.count), deadline.pollMilliseconds)
            if count > 0 { return entries.map { $0.revents != 0 } }
            if count == 0 || errno != EINTR { return nil }
        }
    }

    /// Queues commands while their replies fit the window, and sends.
    private mutating func fill(_ lane: Lane) {
        guard let connection = lane.connection else { return }
        while lane.next < lane.waiting.count, lane.weight == 0 || lane.weight < Self.window {
            let item = lane.waiting[lane.next]
            if item.isAsking {
                connection.enqueue(.asking)
                lane.sent.append(nil)
            }
            connection.enqueue(commands[item.index])
            lane.sent.append(item)
            lane.weight += commands[item.index].weight
            lane.next += 1
        }
        do throws(RemoteFault) { try connection.send() } catch { fail(lane, error) }
    }

    /// Reads and sends. False when no byte has moved.
    private mutating func step(_ lane: Lane, _ onReply: (Int, RespValue) -> Bool) -> Bool {
        guard let connection = lane.connection else { return false }
        var moved = 0
        var fault: RemoteFault?
        do throws(RemoteFault) {
            moved = try connection.send()
            moved += try connection.receive { take($0, lane, onReply) }
        } catch { fault = error }
        if let fault { fail(lane, fault) }
        return moved > 0
    }

    private mutating func take(_ reply: RespValue, _ lane: Lane, _ onReply: (Int, RespValue) -> Bool) {
        guard lane.firstSent < lane.sent.count else { return }
        let item = lane.sent[lane.firstSent]
        lane.firstSent += 1
        guard let item, !outcome.isEnded else { return }
        lane.weight -= commands[item.index].weight
        switch reply.errorCode {
        case "MOVED", "ASK": follow(reply, item, from: lane)
        case "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN", "READONLY":
            // It will pass; this call does not wait for that.
            outcome.mapIsOld = true
            outcome.fault = .refused(String(reply.errorCode ?? ""))
        default: if !onReply(item.index, reply) { outcome.isEnded = true }
        }
    }

    /// `MOVED slot host:port` or `ASK slot host:port`; the host is left out when it is the same.
    private mutating func follow(_ reply: RespValue, _ item: RoutedCommand, from lane: Lane) {
        guard case .error(let text) = reply else { return }
        let words = text.split(separator: " ")
        guard words.count >= 3, let slot = UInt16(words[1]), slot < UInt16(SlotMap.slots),
            var address = NodeAddress(words[2]), address.port != 0
        else {
            outcome.fault = .nonsense
            return
        }
        if address.host.isEmpty { address = NodeAddress(host: lane.node.address.host, port: address.port) }
        var item = item
        item.target = address
        item.isAsking = words[0] == "ASK"
        if words[0] == "MOVED" { outcome.moved.append((slot, address)) }
        outcome.again.append(item)
    }

    /// A connection is of no use any more. A connection that was idle before may have been ended long ago: then its
    /// server is asked once more, over a new one.
    private mutating func fail(_ lane: Lane, _ fault: RemoteFault) {
        guard let connection = lane.connection else { return }
        let wasIdle = !connection.hasAnswered && lane.node.openedConnections > 0
        lane.connection = nil
        lane.node.drop()
        let isUnlucky = wasIdle && fault != .nonsense && lane.open.allSatisfy { $0.avoided == nil }
        if !isUnlucky { lane.node.note(fault) }
        outcome.fault = fault
        retryElsewhere(lane)
    }

    /// The commands of a lane go to another server, once; the owner of a slot decides whether there is one.
    private mutating func retryElsewhere(_ lane: Lane) {
        for var item in lane.open where item.avoided == nil {
            item.avoided = lane.node.address
            item.target = nil
            item.isAsking = false
            outcome.again.append(item)
        }
    }

    /// The time is up. Whoever was asked and has not answered is left alone for a while, unless the time was too short
    /// to say anything about it.
    private mutating func giveUp(_ begun: UInt64) {
        outcome.fault = .late
        let waited = SystemClock.monotonicNanoseconds() - begun
        for lane in lanes where !lane.isDone && waited >= 5_000_000 { lane.node.note(.late) }
    }

    /// Gives the connection back, or ends it when replies are still to come.
    private func finish(_ lane: Lane) {
        guard let connection = lane.connection else { return }
        if connection.isQuiet { lane.node.give(connection) } else { lane.node.drop() }
    }
}
