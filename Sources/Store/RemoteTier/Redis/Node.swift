// One server with its connections, and its circuit breaker: a server that has failed is left alone for a while.

internal import KVFormat
internal import Threads

/// The connections to one server. Thread-safe.
///
/// Connections are made by threads of the tier, never by a caller: a name that takes seconds to be resolved holds up
/// nobody. A failure opens the breaker. After a pause a thread connects, and the next caller tries; a connection alone
/// proves nothing. When that caller has its answer, everybody asks the server again.
final class Node: Sendable {
    /// Connections to one server at most. Callers that load and the thread that puts hold theirs for long, so one is
    /// kept for questions.
    private static let most = 4
    private static let mostForPages = most - 1
    /// How long making a connection may take.
    static let connectTime = Duration.seconds(2)
    /// How long a connection may be in the making before callers no longer wait for it.
    private static let patience: UInt64 = 200_000_000
    /// A connection that was idle for longer may have been ended by the server, or by something on the way.
    private static let idleLimit: UInt64 = 60_000_000_000

    private struct State {
        var idle: [(connection: Connection, since: UInt64)] = []
        var lent = 0
        var lentForPages = 0
        /// When the connection that is in the making was begun; nil for none.
        var connectingSince: UInt64?
        var breaker = CircuitBreaker()
        var isClosed = false

        func hasRoom(for kind: CircuitBreaker.Kind) -> Bool {
            lent < Node.most && (kind == .question || lentForPages < Node.mostForPages)
        }
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

    /// Begins to connect if there is no connection.
    func prepare() {
        let begins = state.withLock { state in
            guard state.idle.isEmpty, state.lent == 0 else { return false }
            return Self.beginsConnecting(&state, SystemClock.monotonicNanoseconds())
        }
        if begins { beginConnecting() }
    }

    /// A connection that nobody else uses; nil when there is none in time, or the breaker is open.
    ///
    /// - Parameter stall: nanoseconds that the caller waits for a server that says nothing: so long it waits for a
    ///   connection in the making too, if that is longer than others do. Tools are patient.
    func take(for kind: CircuitBreaker.Kind, before deadline: Deadline, stall: UInt64) -> Connection? {
        let patience = max(Self.patience, stall)
        while true {
            var begins = false
            var waits = false
            var now: UInt64 = 0
            let connection: Connection? = state.withLock { state in
                // Read under the lock: no time in the state is later.
                now = SystemClock.monotonicNanoseconds()
                guard !state.isClosed else { return nil }
                guard state.hasRoom(for: kind) else {
                    waits = !state.breaker.isOpen
                    return nil
                }
                if let connection = Self.lend(&state, for: kind, at: now) { return connection }
                begins = Self.beginsConnecting(&state, now)
                waits = !state.breaker.isOpen && (state.connectingSince.map { now - $0 <= patience } ?? false)
                return nil
            }
            if begins { beginConnecting() }
            if let connection {
                guard connection.isStale else { return connection }
                drop(connection)
                continue
            }
            guard waits else { return nil }
            // Another caller may take the connection: then one more is to be made.
            let end = Deadline.earlier(deadline, Deadline(nanoseconds: now + Self.patience))
            let isReady = state.wait(
                until: { state in
                    (!state.idle.isEmpty && state.hasRoom(for: kind)) || state.breaker.isOpen || state.isClosed
                }, before: end)
            if !isReady, deadline.hasPassed { return nil }
        }
    }

    /// An idle connection, if the breaker admits the caller. Called under the lock.
    private static func lend(_ state: inout State, for kind: CircuitBreaker.Kind, at now: UInt64) -> Connection? {
        state.idle.removeAll { now - min(now, $0.since) > idleLimit }
        guard !state.idle.isEmpty else { return nil }
        let admission = state.breaker.admit(at: now)
        guard admission != .refused, let (connection, _) = state.idle.popLast() else { return nil }
        connection.loan = Connection.Loan(kind: kind, isTrial: admission == .trial)
        state.lent += 1
        if kind == .page { state.lentForPages += 1 }
        return connection
    }

    /// Called under the lock. Whether the caller must begin to connect.
    private static func beginsConnecting(_ state: inout State, _ now: UInt64) -> Bool {
        guard state.connectingSince == nil, state.idle.isEmpty, !state.isClosed, state.lent < most,
            state.breaker.isOver(at: now)
        else { return false }
        state.connectingSince = now
        return true
    }

    private func beginConnecting() {
        let begun = errands.begin {
            do throws(RemoteFault) {
                self.add(try Connection(self.address, self.settings, before: .after(Self.connectTime)))
            } catch {
                self.note(error, .question)
            }
            self.endConnecting()
        }
        if begun == nil { endConnecting() }
    }

    private func endConnecting() {
        state.withLock { $0.connectingSince = nil }
        state.broadcast()
    }

    /// A connection for the calling thread, which is not a caller's and may wait: an idle one, or a new one. It goes
    /// to `add` afterwards.
    func connected(before deadline: Deadline) throws(RemoteFault) -> Connection {
        if let (idle, _) = state.withLock({ $0.idle.popLast() }), !idle.isStale { return idle }
        return try Connection(address, settings, before: deadline)
    }

    /// Takes over a connection on which nothing is under way, unless there are enough.
    func add(_ connection: Connection) {
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { state in
            guard !state.isClosed, state.idle.count + state.lent < Self.most else { return }
            state.idle.append((connection, now))
        }
        state.broadcast()
    }

    /// Takes a connection back on which nothing is under way.
    func give(_ connection: Connection) {
        end(connection.loan, hasAnswered: connection.hasAnswered)
        add(connection)
    }

    /// A connection that was taken is of no use any more.
    func drop(_ connection: Connection) {
        end(connection.loan, hasAnswered: false)
        state.broadcast()
    }

    private func end(_ loan: Connection.Loan, hasAnswered: Bool) {
        state.withLock { state in
            state.lent -= 1
            if loan.kind == .page { state.lentForPages -= 1 }
            if loan.isTrial { state.breaker.endTrial() }
            if hasAnswered { state.breaker.succeed(loan.kind) }
        }
    }

    /// Notes a failure: opens the breaker. All idle connections go, for they lead to the same server.
    func note(_ fault: RemoteFault, _ kind: CircuitBreaker.Kind) {
        state.withLock { state in
            guard state.breaker.fail(kind, fault, at: SystemClock.monotonicNanoseconds()) else { return }
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
