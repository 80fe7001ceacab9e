// What a Redis or Valkey server says, in either version of its protocol.

internal import PageCodec

/// One reply, or a part of one.
enum RespValue: Sendable {
    /// A string, whatever its kind.
    case text([UInt8])
    /// A long string, in memory of its own: it was received there, and is not copied.
    case bulk(EncodedRecord)
    /// An error, in the server's words.
    case error(String)
    /// A number, or a truth value as 0 or 1.
    case integer(Int64)
    /// Nothing: the key does not exist.
    case null
    /// A list, a set, or a map as keys and values in turns.
    case list([RespValue])
    /// Something that the server says without having been asked, in the form of a list.
    case push

    /// The text of a string; nil for anything else.
    var string: String? {
        guard case .text(let bytes) = self else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether this is the string `OK`.
    var isOK: Bool { string == "OK" }

    /// The code of an error, such as MOVED or OOM: its first word. Nil for anything else, and for an error whose first
    /// word is no code: nothing else of what a server says comes into an error of the store, for it may repeat what it
    /// was told, or write on a terminal.
    var errorCode: String? {
        guard case .error(let text) = self,
            let code = text.utf8.split(separator: UInt8(ascii: " "), maxSplits: 1).first,
            code.count <= 16, code.allSatisfy({ UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 })
        else { return nil }
        return String(code)
    }

    /// What it means that this came instead of what was asked for.
    var refusal: RemoteFault {
        guard let code = errorCode else { return .refused("an unexpected answer") }
        return code == "OOM" ? .full : .refused(code + (Self.kinds.first { isError($0.code, $0.words) }?.kind ?? ""))
    }

    /// Why this is no answer; nil for an answer, also for one that says that there is nothing. A key that somebody has
    /// given to a value of another type (WRONGTYPE) has no page: that is an answer.
    var lack: RemoteFault? {
        guard case .error = self, errorCode != "WRONGTYPE" else { return nil }
        return refusal
    }

    private func isError(_ code: String, _ words: [String]) -> Bool {
        guard case .error(let text) = self, errorCode == code else { return false }
        return words.contains { Self.says(text, $0) }
    }

    /// Whether a text has these words. `String.contains` is in a library of Swift that `libprefixstore.a` does without.
    private static func says(_ text: String, _ words: String) -> Bool {
        let (text, words) = (Array(text.utf8), Array(words.utf8))
        return text.indices.contains { text[$0...].starts(with: words) }
    }

    /// What the codes mean that servers have for several things, by words of the server; the words themselves go
    /// nowhere. Those before others go first.
    private static let kinds: [(code: String, words: [String], kind: String)] = [
        ("NOPERM", ["the keys used", "access a key"], RemoteFault.foreignKeys),
        ("ERR", ["DB index", "SELECT is not allowed"], RemoteFault.noDatabase),
        ("ERR", ["max number of clients"], RemoteFault.noConnection),
        ("ERR", ["unknown command"], RemoteFault.unknownCommand),
        ("ERR", ["without any password", "no password is set"], RemoteFault.needlessPassword),
    ]
}

/// Why bytes are no replies.
enum RespFault: Error, Equatable, Sendable {
    /// They do not follow the protocol.
    case malformed
    /// They announce more than is asked for here.
    case tooLarge
}
