// Requests to an object store as Swift sees them: CCurl's lanes and requests, and the memory of answers.

internal import CCurl
internal import KVFormat
internal import PageCodec

/// What is asked of a server.
struct HTTPCall: Sendable {
    var method = "GET"
    let address: String
    var headers: [String] = []
    var body: EncodedRecord?
    /// SHA-256 of the body: part of the signature.
    var digest = HTTPCall.ofNothing
    /// The bytes of the object that are wanted; nil for all.
    var range: Range<Int>?
    /// Memory for the answer, in bytes, part by part.
    var parts: [Int] = []

    private static let ofNothing = Digest.sha256([])
}

/// Connections to one server. Used by one thread at a time.
@safe
final class HTTPLane {
    /// Connections of a lane at most.
    static let connections = 16

    fileprivate let lane: OpaquePointer

    /// Nil when there is no memory. libcurl must be loaded.
    init?() {
        let made = unsafe ccurl_lane_make(Int32(Self.connections))
        guard let made = unsafe made else { return nil }
        unsafe lane = made
    }

    deinit { unsafe ccurl_lane_free(lane) }

    /// Does what can be done now, and waits for more if nothing can.
    func step(milliseconds: Int32) { unsafe ccurl_step(lane, milliseconds) }
}

/// One request on a lane. Ends with its object.
@safe
final class HTTPRequest {
    /// What became of it.
    enum Outcome: Equatable {
        case underWay
        case ended
        case unreachable(String)
        case untrusted
        case nonsense
    }

    /// Memory of the answer; filled part by part.
    let parts: [EncodedRecord]
    private let lane: HTTPLane
    private let body: EncodedRecord?
    private let request: OpaquePointer
    /// Bytes that had moved when somebody looked last.
    private var seen = 0

    /// Begins a request; nil when there is no memory.
    init?(_ call: HTTPCall, on lane: HTTPLane, _ url: S3URL, _ credentials: S3Credentials) {
        let parts = call.parts.compactMap { EncodedRecord(room: $0) }
        guard parts.count == call.parts.count else { return nil }
        let made = unsafe ccurl_request_make(call.method, call.address, url.ca)
        guard let request = unsafe made else { return nil }
        self.lane = lane
        body = call.body
        self.parts = parts
        unsafe self.request = request
        unsafe ccurl_sign(request, "aws:amz:\(url.region):s3", credentials.key, credentials.secret)
        var headers = call.headers + ["x-amz-content-sha256: \(call.digest)"]
        if let token = credentials.token { headers.append("x-amz-security-token: \(token)") }
        var isComplete = headers.allSatisfy { unsafe ccurl_add_header(request, $0) != 0 }
        if let body = call.body {
            // In place until this object goes.
            unsafe ccurl_set_body(request, body.room.baseAddress, body.byteCount)
        }
        if let range = call.range { unsafe ccurl_set_range(request, "\(range.lowerBound)-\(range.upperBound - 1)") }
        for part in parts {
            isComplete = unsafe ccurl_add_part(request, part.room.baseAddress, part.byteCount) != 0 && isComplete
        }
        guard isComplete, unsafe ccurl_begin(lane.lane, request) != 0 else { return nil }
    }

    deinit { unsafe ccurl_request_free(lane.lane, request) }

    var outcome: Outcome {
        switch unsafe Int(ccurl_outcome(request)) {
        case Int(CCURL_UNDER_WAY): .underWay
        case Int(CCURL_ENDED): .ended
        case Int(CCURL_UNTRUSTED): .untrusted
        case Int(CCURL_NONSENSE): .nonsense
        default: .unreachable(unsafe String(cString: ccurl_words(request)))
        }
    }

    /// The status of the answer; 0 before it begins.
    var status: Int { unsafe ccurl_status(request) }
    /// Bytes of a right answer that lie in the parts.
    var received: Int { unsafe ccurl_received(request) }

    /// Whether bytes have moved since the last call.
    var hasMoved: Bool {
        let moved = unsafe ccurl_moved(request)
        defer { seen = moved }
        return moved != seen
    }

    /// The bytes of a right answer that has one part.
    var bytes: [UInt8] {
        guard let part = parts.first, outcome == .ended, (200..<300).contains(status) else { return [] }
        return unsafe Array(part.room.prefix(received))
    }

    /// The server's word for a refusal, such as `AccessDenied`; nil when it has none.
    var refusalCode: String? {
        var text: UnsafePointer<CChar>?
        let count = unsafe ccurl_refusal(request, &text)
        let bytes = unsafe UnsafeRawBufferPointer(start: text, count: count)
        return unsafe XMLText.first("Code", in: String(decoding: bytes, as: UTF8.self)).flatMap { code in
            code.count <= 40 && code.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) } ? code : nil
        }
    }
}

/// The little that is read of an object store's XML.
enum XMLText {
    /// The text of all elements of this name. Bytes are compared: a search in texts is in a library of Swift's that the
    /// C library has no room for.
    static func all(_ name: String, in text: String) -> [String] {
        let (opening, closing) = (Array("<\(name)>".utf8), Array("</\(name)>".utf8))
        var found: [String] = []
        var rest = Array(text.utf8)[...]
        while let start = place(of: opening, in: rest) {
            rest = rest[(start + opening.count)...]
            guard let end = place(of: closing, in: rest) else { break }
            found.append(String(decoding: rest[..<end], as: UTF8.self))
            rest = rest[(end + closing.count)...]
        }
        return found
    }

    private static func place(of part: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: part) }
    }

    /// The text of the first such element.
    static func first(_ name: String, in text: String) -> String? { all(name, in: text).first }
}
