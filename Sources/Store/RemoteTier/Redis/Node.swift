// One server with its connections, and the circuit breaker: a server that has failed is left alone for a while.

internal import KVFormat
internal import Threads

/// The connections to one server. Thread-safe.
///
/// Connections are made by threads of the tier, never by a caller: a name that takes seconds to be resolved holds up
/// nobody. A failure opens the breaker. When a trial is due, the next caller lets a thread try once; callers do not
/// wait for that. When the server has answered, everybody asks it again.
final class Node: Sendable {
    /// Connections to one server at most: callers that look up, callers that load, and the thread that puts.
    private static let most = 4
    /// How long making a connection may take.
    static let connectTime = Duration.seconds(2)
    /// How long a connection may be in the making before callers no longer wait for it.
    private static let patience: UInt64 = 200_000_000
    /// A connection that was idle for longer may have been ended by the server, or by something on the way.
    private static let idleLimit: UInt64 = 60_000_000_000

    struct State {
        var idle: [(connection: Connection, since: UInt64)] = []
        var lent = 0
        /// When the connection that is in the making was begun; nil for none.
        var connectingSince: UInt64?
        var breaker = CircuitBreaker()
        var isClosed = false
        var opened: UInt64 = 0
    }

    let address: NodeAddress
    private let settings: ConnectionSettings
    private let errands: Errands
    // Connections are used by one thread at a time: the one that took them.
    private let state: Guarded<State>

    init(_ address: NodeAddress, _ settings: ConnectionSettings, _ errands: Errands) {
        self.address = address
        self.settings = settings
        self.errands = errands
        state = Guarded(State())
    }

    /// Whether the breaker is open.
    var isDown: Bool { state.withLock { $0.breaker.isOpen } }

    /// What went wrong last; nil while all is well.
    var fault: RemoteFault? { state.withLock { $0.breaker.fault } }

    /// Connections that were made so far.
    var openedConnections: UInt64 { state.withLock { $0.opened } }

    /// Begins to connect if there is no connection.
    func prepare() {
        let now = SystemClock.monotonicNanoseconds()
        let begins = state.withLock { state in
            guard state.idle.isEmpty, state.lent == 0 else { return false }
            return Self.beginsConnecting(&state, now)
        }
        if begins { beginConnecting() }
    }

    /// A connection that nobody else uses; nil when there is none in time, or the breaker is open.
    func take(before deadline: Deadline) -> Connection? {
        while true {
            let now = SystemClock.monotonicNanoseconds()
            var begins = false
            var waits = false
            let connection: Connection? = state.withLock { state in
                state.idle.removeAll { now - min(now, $0.since) > Self.idleLimit }
                if let (connection, _) = state.idle.popLast() {
                    state.lent += 1
                    return connection
                }
                begins = Self.beginsConnecting(&state, now)
                let isSlow = state.connectingSince.map { now - $0 > Self.patience } ?? (state.lent < Self.most)
                waits = !state.breaker.isOpen && !state.isClosed && (begins || !isSlow)
                return nil
            }
            if begins { beginConnecting() }
            if let connection {
                guard connection.isStale else {
                    connection.hasAnswered = false
                    return connection
                }
                drop()
                continue
            }
            guard waits else { return nil }
            let patience = Deadline.earlier(deadline, Deadline(nanoseconds: now + Self.patience))
            let isReady = state.wait(
                until: { !$0.idle.isEmpty || $0.breaker.isOpen || $0.isClosed }, before: patience)
            if !isReady, deadline.hasPassed { return nil }
        }
    }

    /// Called under the lock. Whether the caller must begin to connect.
    private static func beginsConnecting(_ state: inout State, _ now: UInt64) -> Bool {
        guard state.connectingSince == nil, !state.isClosed, state.lent < most,
            state.breaker.allowsTrial(at: now)
        else { return false }
        state.connectingSince = now
        return true
    }

    private func beginConnecting() {
        let begun = errands.begin {
            do throws(RemoteFault) {
                self.add(try Connection(self.address, self.settings, before: .after(Self.connectTime)))
            } catch {
                self.note(error)
                self.state.withLock { $0.connectingSince = nil }
                self.state.broadcast()
            }
        }
        if begun == nil { state.withLock { $0.connectingSince = nil } }
    }

    /// Takes over a connection that somebody has made: the server is there.
    func add(_ connection: sending Connection) {
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { state in
            state.connectingSince = nil
            state.breaker.reset()
            state.opened += 1
            if !state.isClosed { state.idle.append((connection, now)) }
        }
        state.broadcast()
    }

    /// Takes a connection back on which nothing is under way.
    func give(_ connection: Connection) {
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { state in
            state.lent -= 1
            state.breaker.reset()
            if !state.isClosed { state.idle.append((connection, now)) }
        }
        state.broadcast()
    }

    /// A connection that was taken is of no use any more.
    func drop() {
        state.withLock { $0.lent -= 1 }
        state.broadcast()
    }

    /// Notes a failure: opens the breaker. All idle connections go, for they lead to the same server.
    func note(_ fault: RemoteFault) {
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { state in
            guard state.breaker.note(fault, at: now) else { return }
            state.idle = []
        }
        state.broadcast()
    }

    /// Ends the idle connections; those that are lent end when they come back.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.idle = []
        }
        state.broadcast()
    }
}
