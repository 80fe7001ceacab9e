// What a server of a cluster says when another one has a key.

/// `MOVED slot host:port` or `ASK slot host:port`.
struct Redirection {
    let slot: UInt16
    let address: NodeAddress
    /// Whether only this command goes there, and that server must be told that it is asked out of turn.
    let isAsking: Bool

    /// Reads an error; nil when it is none of these.
    ///
    /// - Parameter asked: the server that has answered; the host is left out when it is the same.
    init?(_ reply: RespValue, asked: NodeAddress) {
        guard case .error(let text) = reply, let code = reply.errorCode, code == "MOVED" || code == "ASK" else {
            return nil
        }
        let words = text.split(separator: " ")
        guard words.count >= 3, let slot = UInt16(words[1]), slot < UInt16(SlotMap.slots),
            let named = NodeAddress(words[2]), named.port != 0
        else { return nil }
        self.slot = slot
        address = named.host.isEmpty ? NodeAddress(host: asked.host, port: named.port) : named
        isAsking = code == "ASK"
    }
}
