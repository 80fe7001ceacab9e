// An object store: its connections, its circuit breaker, and what this process knows of its packs.

internal import CCurl
internal import KVFormat
internal import PageCodec
internal import Threads

/// A client of an S3-compatible object store. Thread-safe. Its threads start at first need; whoever makes it closes it.
///
/// Pages are in packs, objects of some megabytes that never change, and small index objects say which pack has them.
/// docs/decisions/0021 has the reasons.
final class S3Client: Sendable {
    /// Bytes of answers that a call may have under way.
    private static let window = 32 << 20
    /// How often a call looks whether the client was closed, in milliseconds.
    private static let look: Int32 = 50
    /// Lanes that are kept while nobody uses them.
    private static let idleLanes = 4
    /// A call that was given less time than this, in nanoseconds, says nothing about a server that did not answer.
    private static let telling: UInt64 = 5_000_000

    struct State {
        var credentials: S3Credentials
        var idle: [HTTPLane] = []
        var breaker = CircuitBreaker()
        var isClosed = false
        /// Whether the server knows `If-None-Match` with a put.
        var knowsConditions = true
        var packs = KnownPacks()
    }

    let url: S3URL
    private let errands = Errands()
    let state: Guarded<State>

    /// Loads libcurl.
    ///
    /// - Throws: `.invalidOption` when libcurl is missing, or there are no credentials.
    init(_ url: S3URL) throws(StoreError) {
        switch Int(ccurl_load()) {
        case Int(CCURL_OK): break
        case Int(CCURL_OLD): throw .invalidOption("s3:// needs libcurl 7.87 or newer; this system's is older")
        default: throw .invalidOption("s3:// needs libcurl; install the package libcurl4")
        }
        self.url = url
        state = Guarded(State(credentials: try .read(for: url)))
    }

    func prepare() {
        let begins = state.withLock { state in
            state.idle.isEmpty && !state.isClosed
                && state.breaker.admit(at: SystemClock.monotonicNanoseconds()) != .refused
        }
        if begins { beginTrial() }
    }

    func close() {
        state.withLock { state in
            state.isClosed = true
            state.idle = []
        }
        errands.close()
    }

    var faults: [String] { state.withLock { $0.breaker.fault }.map { ["\(url.endpoint): \($0.text)"] } ?? [] }

    // MARK: Calls

    /// Asks the server, several things at once.
    ///
    /// - Parameters:
    ///   - isTrial: whether it is asked though its breaker is open.
    ///   - onProgress: told of each request that has moved, with its call's place, on this thread; false ends the call
    ///     early.
    /// - Returns: why some requests have no answer, or are refused; nil when all is well, or `onProgress` has ended the
    ///   call. That an object is not there is an answer.
    func run(
        _ calls: [HTTPCall], _ patience: Patience, isTrial: Bool = false, _ onProgress: (Int, HTTPRequest) -> Bool
    ) -> RemoteFault? {
        guard !calls.isEmpty else { return nil }
        let (lent, credentials, refusal) = takeLane(isTrial)
        guard let lane = lent else { return refusal }
        var exchange = S3Exchange(calls, lane, url, credentials, window: Self.window)
        let begun = SystemClock.monotonicNanoseconds()
        var progressed = begun
        while !exchange.isDone {
            guard exchange.begin() else { return .unreachable("no memory") }
            let stalled = Deadline(nanoseconds: progressed + UInt64(max(0, patience.stall.nanoseconds)))
            let limit = Deadline.earlier(patience.deadline, stalled)
            guard !limit.hasPassed, !state.withLock({ $0.isClosed }) else {
                exchange.giveUp()
                break
            }
            lane.step(milliseconds: min(limit.pollMilliseconds, Self.look))
            if exchange.collect(onProgress) { progressed = SystemClock.monotonicNanoseconds() }
        }
        let isTelling = exchange.fault != .late || SystemClock.monotonicNanoseconds() - begun >= Self.telling
        give(lane, exchange.isQuiet, exchange.hasAnswer, isTelling ? exchange.breaks : nil)
        return exchange.fault
    }

    private func takeLane(_ isTrial: Bool) -> (HTTPLane?, S3Credentials, RemoteFault?) {
        let now = SystemClock.monotonicNanoseconds()
        var begins = false
        let (lane, credentials, fault) = state.withLock { state -> (HTTPLane?, S3Credentials, RemoteFault?) in
            guard !state.isClosed else { return (nil, state.credentials, .closed) }
            guard let fault = state.breaker.fault, !isTrial else {
                return (state.idle.popLast(), state.credentials, nil)
            }
            begins = state.breaker.admit(at: now) == .trial
            return (nil, state.credentials, fault)
        }
        if begins { beginTrial() }
        if fault != nil { return (nil, credentials, fault) }
        return (lane ?? HTTPLane(), credentials, .unreachable("no memory"))
    }

    private func give(_ lane: HTTPLane, _ isQuiet: Bool, _ hasAnswer: Bool, _ fault: RemoteFault?) {
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { state in
            if let fault {
                _ = state.breaker.fail(.page, fault, at: now)
            } else if hasAnswer {
                state.breaker.succeed(.page)
            }
            if isQuiet, !state.isClosed, state.idle.count < Self.idleLanes { state.idle.append(lane) }
        }
    }

    /// Has a thread ask the server for something that is not there. Tools may have renewed the credentials meanwhile.
    private func beginTrial() {
        let begun = errands.begin {
            if let fresh = try? S3Credentials.read(for: self.url) { self.state.withLock { $0.credentials = fresh } }
            let patience = Patience(deadline: .after(.seconds(2)), stall: .seconds(2))
            _ = self.run([self.indexCall(.zero)], patience, isTrial: true) { _, _ in true }
            self.state.withLock { $0.breaker.endTrial() }
        }
        if begun == nil { state.withLock { $0.breaker.endTrial() } }
    }

    // MARK: Objects

    /// Asks for the index object of a page; of one that is too long to be one, for its beginning.
    func indexCall(_ hash: PrefixHash) -> HTTPCall {
        HTTPCall(
            address: url.address("1/i/\(hash)"), range: 0..<PackIndex.largest, parts: [PackIndex.largest])
    }

    /// Stores an object.
    func put(_ name: String, _ body: EncodedRecord, isNew: Bool) -> HTTPCall {
        var stream = HashStream()
        unsafe body.bytes.withUnsafeBytes { unsafe stream.append($0) }
        // Without one the server refuses the request, and nothing is put.
        let digest = stream.finish() ?? .sha256([])
        return HTTPCall(
            method: "PUT", address: url.address(name),
            headers: ["Content-Type: application/octet-stream"] + (isNew ? ["If-None-Match: *"] : []), body: body,
            digest: digest)
    }
}
