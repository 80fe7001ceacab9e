// What to do about a server that does not give what was asked.

extension RemoteFault {
    /// What to do about it, in one sentence.
    package var remedy: String {
        switch self {
        case .unreachable: "Check that the server runs, its address and port, and the network between."
        case .late:
            "Look at the server's load, at the network, and at whether the server speaks TLS, if the URL says so."
        case .refused where connectionRight != nil:
            "Give this user the right \(connectionRight ?? "") (+@connection): every connection begins with it."
        case .refused(let code): Self.remedies[code] ?? Self.otherRefusal(code)
        case .untrusted:
            "Name the authority that has signed the certificate with ca in the URL, and its name with server_name if it "
                + "is not the host's."
        case .nonsense:
            "Check scheme and port of the URL: TLS needs rediss:// or an https:// endpoint, and s3:// an object store."
        case .full:
            "Make room: raise maxmemory, or set maxmemory-policy allkeys-lru; raise the quota of an object store."
        case .noOwner:
            "Repair the cluster, of which some slots have no server; a server that is no cluster is named redis://."
        case .closed: "Open the store again."
        }
    }

    private static func otherRefusal(_ code: String) -> String {
        code.hasPrefix("HTTP 5")
            ? "Try again later: the object store is not well."
            : "Ask the server the same with its own client: it says more than its code."
    }

    /// By the codes of Redis and Valkey, and of object stores.
    private static let remedies = [
        "NOAUTH": "Give the password in REDISCLI_AUTH, or in a file that password_file in the URL names.",
        "WRONGPASS": "Correct the user in the URL, or the password in REDISCLI_AUTH or password_file.",
        "NOPERM": "Give this user the rights that docs/fleet.md lists; a check of the remote names what is missing.",
        noRanges: "Use an object store that gives parts of objects (range requests), and a way to it that passes them.",
        "NOPERM" + foreignKeys: "Give this user the keys that begin with pfx: (~pfx:*), as docs/fleet.md does.",
        "ERR" + noDatabase:
            "Correct the number of the database, the path of the URL: the server does not have this one.",
        "ERR" + noConnection: "Raise maxclients of the server, or let fewer hosts use it.",
        "ERR" + unknownCommand: "Name a Redis of version 5 or newer, or a Valkey, that has all of its commands.",
        "ERR" + needlessPassword: "Give no password: the server has none for this user.",
        "MOVED": "The server is part of a cluster: name it redis+cluster://.",
        "CLUSTERDOWN": "Repair the cluster: some of its slots have no server.",
        "READONLY": "The server is a replica: name its primary first in the URL.",
        "LOADING": "Try again when the server has read its data.",
        "MISCONF": "The server cannot save its data and takes no more: a cache needs no saving (save \"\").",
        "AccessDenied": "Give this user the rights s3:GetObject, s3:PutObject and s3:ListBucket of docs/fleet.md.",
        "SignatureDoesNotMatch": "Correct the secret key, and the region if the store has several.",
        "InvalidAccessKeyId": "Correct the access key: this store does not know it.",
        "ExpiredToken": "Renew the session's credentials.",
        "RequestTimeTooSkewed": "Set the clock of this host.",
        "NoSuchBucket": "Make the bucket, or correct its name in the URL.",
        "PermanentRedirect": "Name the endpoint and the region of the bucket in the URL.",
        "AuthorizationHeaderMalformed": "Name the region of the bucket in the URL.",
        "SlowDown": "Put less at once: the object store asks for fewer requests.",
    ]
}
