// What the URL of a remote says: which kind it is, and the parts that all kinds have.

internal import KVFormat

/// A URL of a remote. docs/fleet.md describes them.
struct RemoteURL: Sendable, Equatable {
    /// Which servers there are.
    enum Place: Sendable, Equatable {
        case redis(RedisURL)
        case s3(S3URL)
    }

    let place: Place
    /// How long a look-up waits, unless the options say so.
    let lookupTime: Duration

    /// Reads a URL.
    ///
    /// - Throws: `.invalidOption`, which says what is wrong, and repeats no more of the URL than that needs.
    init(_ text: String) throws(StoreError) {
        var text = try URLText(text)
        let time = try text.takeLookupTime()
        if text.scheme == S3URL.scheme {
            place = .s3(try S3URL(text))
            lookupTime = time ?? .milliseconds(100)
        } else if RedisURL.names.contains(text.scheme) {
            place = .redis(try RedisURL(text))
            lookupTime = time ?? .milliseconds(20)
        } else {
            let known = (RedisURL.names.filter { $0.hasPrefix("redis") } + [S3URL.scheme]).joined(separator: ", ")
            throw .invalidOption(
                "this version has no remote of the scheme '\(URLText.shown(text.scheme))'; it has \(known)")
        }
    }

    /// Remotes that one text may name.
    private static let limit = 8

    /// The URLs in a text that has white space between them.
    static func texts(in text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }

    /// The files that the URLs in a text name.
    static func files(in text: String) -> [String] {
        texts(in: text).flatMap { text in
            ((try? URLText(text))?.settings ?? []).filter { fileSettings.contains($0.name) }.map(\.value)
        }
    }

    private static let fileSettings = ["ca", "cert", "key", "password_file", "credentials_file"]

    /// Reads URLs with white space between them.
    ///
    /// - Throws: `.invalidOption`, also when there is none.
    static func all(in text: String) throws(StoreError) -> [RemoteURL] {
        var urls: [RemoteURL] = []
        for part in texts(in: text) { urls.append(try RemoteURL(part)) }
        guard (1...limit).contains(urls.count) else {
            throw .invalidOption(
                urls.isEmpty
                    ? "the remote has no URL; name it like redis://host:6379"
                    : "there are more than \(limit) remotes")
        }
        return urls
    }

    /// The URL without what only its owner needs to know.
    var shown: String {
        switch place {
        case .redis(let url): url.shown
        case .s3(let url): url.shown
        }
    }

    /// The client of these servers. Reads passwords and certificates.
    ///
    /// - Throws: `.invalidOption`.
    func client(_ options: RemoteOptions) throws(StoreError) -> any RemoteClient {
        switch place {
        case .redis(let url): return try url.client()
        case .s3(let url):
            guard options.timeToLive == nil else {
                throw .invalidOption(
                    "an object store keeps objects as long as its own rules say; give it a lifecycle rule and no time "
                        + "to live")
            }
            return try S3Client(url)
        }
    }
}

/// The parts of a URL such as `rediss://user@host:6379/0?ca=ca.pem`.
struct URLText {
    /// In small letters.
    let scheme: String
    /// What is between scheme and settings.
    let place: Substring
    /// What follows the `?`, decoded, in its order.
    private(set) var settings: [(name: String, value: String)] = []

    /// - Throws: `.invalidOption`.
    init(_ text: String) throws(StoreError) {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
            throw .invalidOption(
                text.contains("@")
                    ? Self.password + "; a blank is written %20"
                    : "the remote has no scheme; name it like redis://host:6379")
        }
        scheme = text[..<colon].lowercased()
        let parts = text[text.index(colon, offsetBy: 3)...].split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        place = parts[0]
        let servers = place.prefix { $0 != "/" }
        // A password may have a slash or a question mark: what comes after these is not taken for anything else.
        guard !text[text.index(colon, offsetBy: 3)...].dropFirst(servers.count).contains("@") else {
            throw .invalidOption(Self.password + "; an '@' in a setting is written %40")
        }
        for field in parts.count > 1 ? parts[1].split(separator: "&") : [] {
            let words = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = try Self.decoded(words.count > 1 ? words[1] : "")
            let name = String(words[0])
            guard !settings.contains(where: { $0.name == name }) else {
                throw .invalidOption("the remote has a setting twice")
            }
            settings.append((name, value))
        }
    }

    /// What is wrong with a URL that has one.
    static let password =
        "a URL is no place for a password; give it in REDISCLI_AUTH, or name its file with password_file"

    /// Refuses settings that are not known, and those without a value. Their names are not repeated: they may be a part
    /// of a password.
    func check(_ known: [String]) throws(StoreError) {
        for setting in settings {
            guard known.contains(setting.name) else {
                throw .invalidOption(
                    "the remote has an unknown setting; it may have lookup_ms, \(known.joined(separator: ", "))")
            }
            guard !setting.value.isEmpty else { throw .invalidOption("the remote's '\(setting.name)' has no value") }
        }
    }

    /// Removes the setting that all kinds have: how many milliseconds a look-up waits. Nil when it is not there.
    mutating func takeLookupTime() throws(StoreError) -> Duration? {
        guard let setting = settings.first(where: { $0.name == "lookup_ms" }) else { return nil }
        guard let count = Int(setting.value), (1...60_000).contains(count) else {
            throw .invalidOption("the remote's 'lookup_ms' is not a number of milliseconds from 1 to 60000")
        }
        settings.removeAll { $0.name == "lookup_ms" }
        return .milliseconds(count)
    }

    /// Undoes percent encoding.
    static func decoded(_ text: Substring) throws(StoreError) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            rest = rest.dropFirst(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                throw .invalidOption("the remote's URL has a '%' without two digits")
            }
            bytes.append(value)
        }
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalidOption("the remote's URL is no text")
        }
        return text
    }

    /// A word of the URL as an error may repeat it: a few harmless characters.
    static func shown(_ word: String) -> String {
        String(word.prefix(24).filter { $0.isASCII && ($0.isLetter || $0.isNumber || "+-._".contains($0)) })
    }
}
