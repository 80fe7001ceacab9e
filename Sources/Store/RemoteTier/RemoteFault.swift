// What can go wrong with a server. Inside the module these are typed; engines meet them as misses and counts.

internal import Glibc
internal import KVFormat

/// Why a server did not give what was asked. It contains no password, no token ids and no page bytes.
package enum RemoteFault: Error, Equatable, Sendable {
    /// There is no connection; the text says why.
    case unreachable(String)
    /// The time was up.
    case late
    /// The server refused, with this error code of its own, such as NOAUTH or NOPERM.
    case refused(String)
    /// The server's certificate is not that of its name, or nobody who is trusted has signed it.
    case untrusted
    /// What it says is not the protocol.
    case nonsense
    /// It has no room for more.
    case full
    /// No server is known that has the keys.
    case noOwner
    /// The tier was closed.
    case closed

    /// As a clause without a full stop.
    package var text: String {
        switch self {
        case .unreachable(let why): "it cannot be reached (\(why))"
        case .late: "it did not answer in time"
        case .refused(let code): "it refuses (\(code))"
        case .untrusted: "its certificate is not trusted"
        case .nonsense: "it does not speak the protocol"
        case .full: "it is full"
        case .noOwner: "no server of the cluster has the keys"
        case .closed: "it was closed"
        }
    }

    // What follows a code that servers have for several things.
    static let foreignKeys = " for these keys"
    static let noDatabase = " for this database"
    static let noConnection = ", too many connections"
    static let unknownCommand = ", an unknown command"
    static let noRanges = "parts of objects"
    static let needlessPassword = ", a password that it does not have"

    /// What every connection begins with, and a user may lack the right to.
    static let connectionCommands = ["PING", "SELECT", "READONLY"]

    /// The refusal of such a command.
    static func refusedConnection(_ command: String) -> RemoteFault { .refused("NOPERM for \(command)") }

    /// The right that this user lacks to begin a connection; nil when it is another fault.
    var connectionRight: String? { Self.connectionCommands.first { self == Self.refusedConnection($0) } }

    /// Whether the server has answered, and refuses.
    var isRefusal: Bool {
        guard case .refused = self else { return false }
        return true
    }

    /// Whether the server knows the user, and does not let it do this.
    var isLackOfRights: Bool {
        guard case .refused(let code) = self else { return false }
        return code.hasPrefix("NOPERM") || code == "AccessDenied"
    }

    /// The fault of a system call that has just failed.
    static func system(_ call: String) -> RemoteFault { .unreachable("\(call): \(StoreError.words(of: errno))") }
}
