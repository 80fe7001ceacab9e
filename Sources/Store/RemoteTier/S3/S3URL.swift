// What the URL of an object store says.

internal import Glibc
internal import KVFormat

/// The parts of a URL such as `s3://bucket/prefix?endpoint=https://host:9000&region=eu-west-1`. docs/fleet.md describes
/// them.
struct S3URL: Sendable, Equatable {
    let bucket: String
    /// What the names of all objects begin with: empty, or with a slash at its end.
    let prefix: String
    /// Scheme, host and port.
    private(set) var endpoint = ""
    private(set) var region = ""
    /// File with the certificates of the authorities that are trusted; nil for those of the system.
    private(set) var ca: String?
    /// File of shared credentials; nil for the environment's.
    private(set) var credentialsFile: String?
    /// The section of the file of credentials.
    private(set) var profile: String?

    static let scheme = "s3"

    /// Reads a URL; what it leaves out comes from the environment.
    ///
    /// - Throws: `.invalidOption`, which says what is wrong, and repeats no more of the URL than that needs.
    init(_ text: URLText, _ environment: (String) -> String? = ProcessEnvironment.value) throws(StoreError) {
        let parts = text.place.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        bucket = String(parts[0])
        guard Self.isName(bucket) else {
            throw .invalidOption("the remote has no bucket, or one with characters that need care; name it s3://bucket")
        }
        let folders = (parts.count > 1 ? parts[1] : "").split(separator: "/")
        guard folders.allSatisfy({ Self.isName(String($0)) }) else {
            throw .invalidOption("the remote's prefix may have letters, digits, '-', '_', '.' and '/'")
        }
        prefix = folders.map { $0 + "/" }.joined()
        try text.check(["endpoint", "region", "ca", "credentials_file", "profile"])
        for (name, value) in text.settings {
            switch name {
            case "endpoint": endpoint = value
            case "region": region = value
            case "ca": ca = value
            case "credentials_file": credentialsFile = value
            default: profile = value
            }
        }
        if region.isEmpty { region = environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION") ?? "us-east-1" }
        guard Self.isName(region) else { throw .invalidOption("the remote's region is no name") }
        if endpoint.isEmpty {
            endpoint =
                environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL")
                ?? "https://s3.\(region).amazonaws.com"
        }
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        guard Self.isEndpoint(endpoint) else {
            throw .invalidOption("the remote's endpoint is not http:// or https:// with host and port")
        }
        guard endpoint.hasPrefix("https:") else {
            guard ca == nil else { throw .invalidOption("a ca is of use with an https:// endpoint only") }
            return
        }
        ca = ca ?? environment("AWS_CA_BUNDLE")
        if let ca, unsafe access(ca, R_OK) != 0 {
            throw .invalidOption("the remote's authorities cannot be read from \(ca)")
        }
    }

    /// A name that stands for itself in a path, and is neither `.` nor `..`.
    private static func isName(_ text: String) -> Bool {
        text.contains { $0 != "." }
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
    }

    private static func isEndpoint(_ text: String) -> Bool {
        guard let scheme = ["http://", "https://"].first(where: { text.hasPrefix($0) }) else { return false }
        let host = text.dropFirst(scheme.count)
        return !host.isEmpty && host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._:[]".contains($0)) }
    }

    /// The URL of an object, or of the bucket if `name` is empty.
    func address(_ name: String, query: String = "") -> String {
        "\(endpoint)/\(bucket)" + (name.isEmpty ? "" : "/\(prefix)\(name)") + (query.isEmpty ? "" : "?\(query)")
    }

    /// Bucket, prefix and endpoint: nothing of it is secret.
    var shown: String { "s3://\(bucket)/\(prefix)?endpoint=\(endpoint)" }
}
