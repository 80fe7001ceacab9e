// One round of commands with several servers at once: each has its pipeline, and one thread polls them all.

internal import Glibc
internal import KVFormat
internal import Threads

/// A command on its way, perhaps not for the first time.
struct RoutedCommand {
    /// Its place among the commands.
    let index: Int
    /// The server that the caller or another server has named; nil for the owner of its slot.
    var target: NodeAddress?
    /// Whether the caller has named it: no other one can answer.
    let isBound: Bool
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
    /// Why some commands have no reply, and will have none.
    var fault: RemoteFault?
    /// Why those are tried again that are.
    var passingFault: RemoteFault?
    /// Whether the caller wanted no more.
    var isEnded = false
}

/// One round. Used by one thread.
struct Exchange {
    /// Bytes of replies that one server may have under way: enough to keep a fast network busy, and few enough that a
    /// server need not hold many copies.
    private static let window = 16 << 20
    /// Nanoseconds per byte that a server may take for a long reply, or to take a long command: 1 MB per second.
    private static let slowestByte: UInt64 = 1000

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
        /// A page among its commands holds the connection for long.
        var kind = CircuitBreaker.Kind.question
        /// Bytes of the largest of its commands with its reply.
        var largest = 0
        /// When bytes have moved last, and when a reply has come last.
        var movedAt: UInt64 = 0
        var repliedAt: UInt64 = 0

        init(_ node: Node) { self.node = node }

        var isDone: Bool { next == waiting.count && firstSent == sent.count }
        /// Commands without a reply.
        var open: [RoutedCommand] { sent[firstSent...].compactMap { $0 } + waiting[next...] }

        /// When it must have moved again or replied, if it may be still for `stall` nanoseconds. A server that sends a
        /// reply byte by byte is as late as one that sends none.
        func isDue(_ stall: UInt64) -> UInt64 {
            min(movedAt + stall, repliedAt + stall + UInt64(largest) * Exchange.slowestByte)
        }
    }

    private let commands: [RedisCommand]
    private let stall: UInt64
    private let follows: Bool
    private let namesServers: Bool
    private var lanes: [Lane] = []
    private var outcome = ExchangeOutcome()
    /// Nanoseconds that the caller has taken for replies: no server is to blame for them.
    private var callersTime: UInt64 = 0

    /// - Parameters:
    ///   - stall: how long a server may be still.
    ///   - follows: whether servers may say that others have the keys.
    ///   - namesServers: whether a fault says whose it is.
    init(_ commands: [RedisCommand], stall: Duration, follows: Bool, namesServers: Bool) {
        self.namesServers = namesServers
        self.commands = commands
        self.stall = UInt64(max(0, min(stall.nanoseconds, 3600_000_000_000)))
        self.follows = follows
    }

    mutating func add(_ command: RoutedCommand, to node: Node) {
        let lane: Lane
        if let known = lanes.first(where: { $0.node === node }) {
            lane = known
        } else {
            lane = Lane(node)
            lanes.append(lane)
        }
        lane.waiting.append(command)
        if commands[command.index].kind == .page { lane.kind = .page }
        lane.largest = max(lane.largest, commands[command.index].transferBytes)
    }

    /// Nanoseconds of a clock that stands still while the caller is busy with a reply.
    private var clock: UInt64 { SystemClock.monotonicNanoseconds() - callersTime }

    /// Runs the round.
    mutating func run(before deadline: Deadline, _ onReply: (Int, RespValue) -> Bool) -> ExchangeOutcome {
        // All callers in the same order, so that none waits for what another one holds that waits for it.
        lanes.sort { $0.node.address.description < $1.node.address.description }
        for lane in lanes {
            lane.connection = lane.node.take(for: lane.kind, before: deadline, stall: stall)
            if lane.connection == nil { retryElsewhere(lane, lane.node.fault ?? .late) }
        }
        lanes.removeAll { $0.connection == nil }
        let begun = clock
        for lane in lanes {
            lane.connection?.expect(lane.waiting.lazy.map { [commands] in commands[$0.index] })
            (lane.movedAt, lane.repliedAt) = (begun, begun)
        }
        while lanes.contains(where: { !$0.isDone }), !outcome.isEnded {
            // Servers that have something to say at every moment are asked for the time too.
            guard !deadline.hasPassed else {
                giveUp()
                break
            }
            for (lane, isReady) in poll(before: deadline) where isReady { step(lane, onReply) }
            for lane in lanes where !lane.isDone && lane.connection != nil && lane.isDue(stall) <= clock { end(lane) }
            lanes.removeAll { $0.connection == nil }
        }
        for lane in lanes { finish(lane) }
        return outcome
    }

    /// Sends what may be sent, and waits until a connection can go on, one of the servers is late, or the deadline has
    /// passed.
    private mutating func poll(before deadline: Deadline) -> [(Lane, Bool)] {
        for lane in lanes where !lane.isDone { fill(lane) }
        let active = lanes.filter { !$0.isDone && $0.connection != nil }
        guard let due = active.map({ $0.isDue(stall) }).min() else { return [] }
        var entries = active.map { lane in
            pollfd(
                fd: lane.connection?.descriptor ?? -1, events: lane.connection?.wantedEvents ?? 0, revents: 0)
        }
        let holds = active.map { $0.connection?.holdsInput == true }
        let end = Deadline.earlier(deadline, Deadline(nanoseconds: due + callersTime))
        // A signal, and the end of the time, are no reply of anybody.
        let count = unsafe Glibc.poll(
            &entries, nfds_t(entries.count), holds.contains(true) ? 0 : end.pollMilliseconds)
        return zip(active, zip(entries, holds)).map { lane, state in
            (lane, state.1 || count > 0 && state.0.revents != 0)
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
        do throws(RemoteFault) {
            if try connection.send() > 0 { lane.movedAt = clock }
        } catch { fail(lane, error) }
    }

    /// Reads and sends.
    private mutating func step(_ lane: Lane, _ onReply: (Int, RespValue) -> Bool) {
        guard let connection = lane.connection else { return }
        do throws(RemoteFault) {
            let moved = try connection.send() + connection.receive { take($0, lane, onReply) }
            if moved > 0 { lane.movedAt = clock }
        } catch { fail(lane, error) }
    }

    private mutating func take(_ reply: RespValue, _ lane: Lane, _ onReply: (Int, RespValue) -> Bool) {
        guard lane.firstSent < lane.sent.count else { return }
        let item = lane.sent[lane.firstSent]
        lane.firstSent += 1
        guard let item, !outcome.isEnded else { return }
        lane.weight -= commands[item.index].weight
        switch reply.errorCode {
        case "MOVED" where follows, "ASK" where follows: follow(reply, item, from: lane)
        case "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN", "READONLY", "MOVED", "ASK":
            // It will pass, or it is no cluster for the user; this call does not wait.
            outcome.mapIsOld = true
            outcome.fault = outcome.fault ?? reply.refusal
        default:
            let began = SystemClock.monotonicNanoseconds()
            if !onReply(item.index, reply) { outcome.isEnded = true }
            callersTime += SystemClock.monotonicNanoseconds() - began
        }
        lane.repliedAt = clock
    }

    private mutating func follow(_ reply: RespValue, _ item: RoutedCommand, from lane: Lane) {
        guard let next = Redirection(reply, asked: lane.node.address) else {
            outcome.fault = outcome.fault ?? .nonsense
            return
        }
        var item = item
        (item.target, item.isAsking) = (next.address, next.isAsking)
        if !next.isAsking { outcome.moved.append((next.slot, next.address)) }
        outcome.again.append(item)
    }

    /// A connection is of no use any more. A connection that was idle before may have been ended long ago: then its
    /// server is asked once more, over a new one.
    private mutating func fail(_ lane: Lane, _ fault: RemoteFault) {
        guard let connection = lane.connection else { return }
        let isUnlucky =
            !connection.hasAnswered && fault != .nonsense && lane.open.allSatisfy { $0.avoided == nil }
        lane.connection = nil
        lane.node.drop(connection)
        if !isUnlucky { lane.node.note(fault, lane.kind) }
        retryElsewhere(lane, fault)
    }

    /// The commands of a lane go to another server, once; the owner of a slot decides whether there is one. A server
    /// that the caller has named is asked once more itself.
    private mutating func retryElsewhere(_ lane: Lane, _ found: RemoteFault) {
        var fault = found
        if namesServers, case .unreachable(let why) = found { fault = .unreachable("\(lane.node.address): \(why)") }
        for var item in lane.open {
            guard item.avoided == nil else {
                outcome.fault = outcome.fault ?? fault
                continue
            }
            outcome.passingFault = fault
            item.avoided = lane.node.address
            if !item.isBound { item.target = nil }
            item.isAsking = false
            outcome.again.append(item)
        }
    }

    /// A server was still for too long.
    private mutating func end(_ lane: Lane) {
        guard let connection = lane.connection else { return }
        lane.connection = nil
        lane.node.drop(connection)
        lane.node.note(.late, lane.kind)
        outcome.fault = outcome.fault ?? .late
    }

    /// The caller's time is up. A server that has not answered is left alone for a while, if it had nearly all of the
    /// time in which every server must answer: a caller in a hurry says nothing about it.
    private mutating func giveUp() {
        outcome.fault = outcome.fault ?? .late
        for lane in lanes where !lane.isDone && lane.isDue(stall / 4 * 3) <= clock { lane.node.note(.late, lane.kind) }
    }

    /// Gives the connection back, or ends it when replies are still to come.
    private func finish(_ lane: Lane) {
        guard let connection = lane.connection else { return }
        if connection.isQuiet { lane.node.give(connection) } else { lane.node.drop(connection) }
    }
}
