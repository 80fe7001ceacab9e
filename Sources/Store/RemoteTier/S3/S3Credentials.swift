// Who asks an object store: credentials from where all tools of S3 find them.

internal import Glibc
internal import KVFormat

/// A key with its secret. Nothing prints it, and no error contains it.
struct S3Credentials: Sendable, Equatable {
    let key: String
    let secret: String
    /// The token of a session; nil for a key that stays.
    let token: String?

    /// Limit on the bytes of the file.
    private static let fileBytes = 1 << 20

    /// Reads the file or profile that the URL names, or else the environment, or else the file of shared credentials.
    ///
    /// - Throws: `.invalidOption`, which names the places that were looked at.
    static func read(
        for url: S3URL, _ environment: (String) -> String? = ProcessEnvironment.value
    ) throws(StoreError) -> S3Credentials {
        if url.credentialsFile == nil, url.profile == nil, let key = environment("AWS_ACCESS_KEY_ID"),
            let secret = environment("AWS_SECRET_ACCESS_KEY")
        {
            return try S3Credentials(key: key, secret: secret, token: environment("AWS_SESSION_TOKEN")).checked()
        }
        let path =
            url.credentialsFile ?? environment("AWS_SHARED_CREDENTIALS_FILE")
            ?? (environment("HOME") ?? "") + "/.aws/credentials"
        let name = url.profile ?? environment("AWS_PROFILE") ?? "default"
        var fields: [String: String] = [:]
        // One that nobody has named need not be there.
        if unsafe url.credentialsFile != nil || access(path, F_OK) == 0 {
            do throws(SecretFile.Unreadable) {
                let bytes = try SecretFile.contents(ofFile: path, isPrivate: false, longest: fileBytes)
                fields = section(name, of: String(decoding: bytes, as: UTF8.self))
            } catch {
                throw .invalidOption("the credentials for s3://: \(error.text)")
            }
        }
        guard let key = fields["aws_access_key_id"], let secret = fields["aws_secret_access_key"] else {
            throw .invalidOption(
                "no credentials for s3://: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the profile "
                    + "'\(URLText.shown(name))' both in \(path)")
        }
        return try S3Credentials(key: key, secret: secret, token: fields["aws_session_token"]).checked()
    }

    /// A line end in one of them would become a header of its own.
    private func checked() throws(StoreError) -> S3Credentials {
        let parts = [key, secret, token ?? "-"]
        guard parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } }) else {
            throw .invalidOption("the credentials for s3:// have characters that no credentials have")
        }
        return self
    }

    /// The settings of a section such as `[default]`.
    private static func section(_ name: String, of text: String) -> [String: String] {
        var fields: [String: String] = [:]
        var isHere = false
        for line in text.split(whereSeparator: \.isNewline).map(trimmed) {
            if line.hasPrefix("[") {
                isHere = trimmed(line.dropFirst().prefix { $0 != "]" }) == name
            } else if isHere, line.first != "#", line.first != ";", let equals = line.firstIndex(of: "=") {
                fields[String(trimmed(line[..<equals]))] = String(trimmed(line[line.index(after: equals)...]))
            }
        }
        return fields
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
