// Whether a server that has failed is asked again: at first soon, then ever more seldom.

/// The circuit breaker of one server. A value type without a clock: callers say what time it is, in nanoseconds.
///
/// It opens at the first failure. After a pause one caller may try (the breaker is half open); when it has its answer,
/// everybody asks again. The pause doubles with each further failure of the same kind. A server can be quick with
/// questions and slow with pages: an answer to one kind closes the breaker, but the next failure of the other kind is
/// still one more.
struct CircuitBreaker: Sendable {
    /// What a server is asked for.
    enum Kind: Sendable {
        /// Something short, such as whether a page is there.
        case question
        /// Pages, in one direction or the other.
        case page
    }

    /// Whether a caller may ask.
    enum Admission: Sendable {
        /// It may: all is well.
        case free
        /// It may, and it alone: it calls `endTrial()` when it is done.
        case trial
        /// It may not.
        case refused
    }

    /// The first pause after a failure, and the longest.
    static let pauses: ClosedRange<UInt64> = 50_000_000...2_000_000_000

    private var failures = (question: 0, page: 0)
    /// The end of the pause; nil while the breaker is closed.
    private var pauseEnd: UInt64?
    private var isTrying = false
    private var last: RemoteFault?

    /// What went wrong last; nil while the breaker is closed.
    var fault: RemoteFault? { isOpen ? last : nil }

    /// Whether the server has failed and was not found well since.
    var isOpen: Bool { pauseEnd != nil }

    /// Whether the breaker is closed, or its pause is over.
    func isOver(at now: UInt64) -> Bool { pauseEnd.map { now >= $0 } ?? true }

    /// Asks for admission.
    mutating func admit(at now: UInt64) -> Admission {
        guard isOpen else { return .free }
        guard isOver(at: now), !isTrying else { return .refused }
        isTrying = true
        return .trial
    }

    /// The caller that was admitted for a trial is done, whatever came of it.
    mutating func endTrial() { isTrying = false }

    /// The server has answered.
    mutating func succeed(_ kind: Kind) {
        switch kind {
        case .question: failures.question = 0
        case .page: failures.page = 0
        }
        pauseEnd = nil
    }

    /// The server has failed. Failures of calls that ran side by side are one failure.
    ///
    /// - Returns: whether this was a new one.
    mutating func fail(_ kind: Kind, _ fault: RemoteFault, at now: UInt64) -> Bool {
        guard isOver(at: now) else { return false }
        last = fault
        let before: Int
        switch kind {
        case .question: (before, failures.question) = (failures.question, failures.question + 1)
        case .page: (before, failures.page) = (failures.page, failures.page + 1)
        }
        let pause = min(Self.pauses.lowerBound << UInt64(min(before, 10)), Self.pauses.upperBound)
        // Jitter, so that the hosts of a fleet do not come back at the same moment.
        pauseEnd = now + pause - UInt64.random(in: 0...pause / 4)
        return true
    }
}
