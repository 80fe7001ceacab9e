// One round of requests to an object store: which are under way, and what became of them.

internal import KVFormat
internal import PageCodec

/// One round. Used by one thread.
struct S3Exchange {
    private let calls: [HTTPCall]
    private let lane: HTTPLane
    private let url: S3URL
    private let credentials: S3Credentials
    private let window: Int
    private var next = 0
    private var open: [(index: Int, request: HTTPRequest)] = []
    private var bytes = 0
    private var isEnded = false
    /// Why some requests have no right answer.
    private(set) var fault: RemoteFault?
    /// The fault, if it says that the server is of no use now; that a user may not write does not.
    private(set) var breaks: RemoteFault?
    /// Whether the server has answered anything.
    private(set) var hasAnswer = false

    init(
        _ calls: [HTTPCall], _ lane: HTTPLane, _ url: S3URL, _ credentials: S3Credentials, window: Int
    ) {
        self.calls = calls
        self.lane = lane
        self.url = url
        self.credentials = credentials
        self.window = window
    }

    /// Whether nothing is left to do.
    var isDone: Bool { isEnded || (next == calls.count && open.isEmpty) }
    /// Whether no request is under way.
    var isQuiet: Bool { open.isEmpty }

    /// Begins requests while there is room for their answers. False when there is no memory.
    mutating func begin() -> Bool {
        while next < calls.count, open.count < HTTPLane.connections, bytes == 0 || bytes < window {
            guard let request = HTTPRequest(calls[next], on: lane, url, credentials) else { return false }
            open.append((next, request))
            bytes += Self.weight(calls[next])
            next += 1
        }
        return true
    }

    private static func weight(_ call: HTTPCall) -> Int { call.parts.reduce(call.body?.byteCount ?? 0, +) }

    /// Tells of what has moved, and takes the requests that have ended. False when no byte has moved.
    mutating func collect(_ onProgress: (Int, HTTPRequest) -> Bool) -> Bool {
        var hasMoved = false
        for (index, request) in open where request.outcome != .underWay || request.hasMoved {
            hasMoved = true
            if request.status != 0 { hasAnswer = true }
            if request.outcome != .underWay { note(request, calls[index]) }
            if !onProgress(index, request) {
                isEnded = true
                break
            }
        }
        for (index, request) in open where request.outcome != .underWay { bytes -= Self.weight(calls[index]) }
        open.removeAll { $0.request.outcome != .underWay }
        // The caller wants no more.
        if isEnded { (open, fault) = ([], nil) }
        return hasMoved
    }

    private mutating func note(_ request: HTTPRequest, _ call: HTTPCall) {
        let method = call.method
        let found: RemoteFault
        switch request.outcome {
        case .underWay: return
        case .unreachable(let words): found = .unreachable(words)
        case .untrusted: found = .untrusted
        // The whole object came where a part of it was asked for.
        case .nonsense where call.range != nil && request.status == 200: found = .refused(RemoteFault.noRanges)
        case .nonsense: found = .nonsense
        case .ended:
            let code = request.refusalCode
            switch request.status {
            case 200..<300, 409, 412, 416: return
            case 404 where code != "NoSuchBucket": return
            // A header that this server does not know: the caller leaves it out.
            case 501 where method == "PUT": return
            case 507: found = .full
            case let status: found = .refused(code ?? "HTTP \(status)")
            }
            fault = found
            // A user who may only read goes on reading.
            if method == "GET" || request.status >= 500 { breaks = found }
            return
        }
        (fault, breaks) = (found, found)
    }

    /// The time is up. A server that has answered nothing is left alone for a while.
    mutating func giveUp() {
        fault = .late
        if !hasAnswer { breaks = .late }
        open = []
    }
}
