// What a check asks of the servers: what this user may do, how fast they are, and what they say of themselves.

internal import Glibc
internal import KVFormat
internal import PageCodec
internal import Threads

extension RedisClient {
    /// How long a value that was put may take to a replica.
    private static let replicationTime = Duration.seconds(2)

    func question(_ hash: PrefixHash, _ patience: Patience) throws(RemoteFault) {
        if let fault = demand([Self.exists(hash)], patience, { _, _ in true }) { throw fault }
    }

    func putTrial(_ keys: [String], _ value: [UInt8], _ patience: Patience) -> RemoteFault? {
        demand(keys.map { Self.set(Self.trial($0), value, seconds: 10) }, patience) { _, _ in true }
    }

    func fetchTrial(_ keys: [String], bytes: Int, _ patience: Patience) throws(RemoteFault) -> Int {
        var right = 0
        let fault = demand(keys.map { Self.get(Self.trial($0), weight: bytes) }, patience) { _, reply in
            if reply.value?.byteCount == bytes { right += 1 }
            return true
        }
        if let fault { throw fault }
        return right
    }

    func rights(isWritable: Bool) -> [(name: String, use: String, refusal: RemoteFault?)] {
        let key = Self.trial("rights")
        func words(_ text: String...) -> [[UInt8]] { text.map { Array($0.utf8) } }
        var tries: [(name: String, use: String, command: RedisCommand)] = [
            ("EXISTS", "a look-up", Self.exists(.zero)), ("GET", "a load", Self.get(key, weight: 1)),
            (
                "GETRANGE", "pfx pull",
                RedisCommand(
                    [Array("GETRANGE".utf8), key] + words("0", "1"), slot: SlotMap.slot(of: key), weight: 2)
            ),
            ("SCAN", "pfx pull", RedisCommand("SCAN", "0", "COUNT", "1", hasLongAnswer: true)),
        ]
        if isWritable { tries.append(("SET", "putting pages", Self.set(key, Array("1".utf8), seconds: 1))) }
        return tries.map { name, use, command in (name, use, demand([command], .long) { _, _ in true }) }
    }

    func namedServers() -> [(address: String, fault: RemoteFault?)] {
        guard !isCluster else { return [] }
        let named = map.shards.flatMap { [$0.primary] + $0.replicas }
        guard named.count > 1 else { return [] }
        return named.map { server in
            (server.description, demand([RedisCommand("PING")], on: server, .long) { _, _ in true })
        }
    }

    private static func trial(_ key: String) -> [UInt8] { Array("pfx:1:c:\(key)".utf8) }

    private static func set(_ key: [UInt8], _ value: [UInt8], seconds: Int) -> RedisCommand {
        let words = [Array("SET".utf8), key, value, Array("EX".utf8), Array("\(seconds)".utf8)]
        return RedisCommand(words, slot: SlotMap.slot(of: key), changes: true)
    }

    /// Asks a server about itself; a user who may not ask learns less.
    func describe(_ found: inout RemoteCheck) {
        let map = map
        found.primaries = Set(map.shards.map(\.primary)).count
        found.replicas = Set(map.shards.flatMap(\.replicas)).count
        var text = ""
        _ = run([RedisCommand("INFO", hasLongAnswer: true)], .long) { _, reply in
            guard let value = reply.value else { return true }
            text = unsafe value.bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
            return true
        }
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            // What may go to a terminal, and nothing else.
            guard parts.count == 2 else { continue }
            fields[parts[0]] = Substring(parts[1].unicodeScalars.filter { ("!"..."~").contains($0) })
        }
        let name = fields["valkey_version"].map { "Valkey \($0)" } ?? fields["redis_version"].map { "Redis \($0)" }
        found.version = name.map { String($0.prefix(40)) }
        found.memoryLimit = fields["maxmemory"].flatMap { UInt64($0) }
        found.evictionPolicy = fields["maxmemory_policy"].map { String($0.prefix(40)) }
        if !map.isWhole { found.advice.append("Some slots of the cluster have no server: repair the cluster.") }
        if let primary = found.servers.first, let fault = primary.fault, found.isReadable {
            found.advice.append(
                "\(primary.address) is down: \(fault.text). What its replicas have is read from them, and nothing is put."
            )
        }
        if found.refusal == .full { found.advice.append(Self.adviceForFull(found.evictionPolicy)) }
        if let limit = found.memoryLimit, limit == 0 {
            found.advice.append("The server's memory has no limit: set maxmemory.")
        }
        if let policy = found.evictionPolicy, policy == "noeviction" {
            found.advice.append("A full server takes no more: set maxmemory-policy allkeys-lru.")
        }
        for shard in map.shards {
            found.advice += shard.replicas.compactMap { advice($0, of: shard.primary, found) }
        }
    }

    private static func adviceForFull(_ policy: String?) -> String {
        guard let policy, policy != "noeviction" else {
            return "The server's memory is full: raise maxmemory, or set maxmemory-policy allkeys-lru."
        }
        return "The server's memory has no room for 8 values of 1 MiB, although it evicts (\(policy)): raise maxmemory."
    }

    /// What to change about a replica; nil when it has what its primary has. It is needed in an outage, when it is too
    /// late to find out.
    private func advice(_ replica: NodeAddress, of primary: NodeAddress, _ found: RemoteCheck) -> String? {
        guard replica != primary else { return "\(primary) is named as its own replica: name each server once." }
        if let fault = demand([RedisCommand("PING")], on: replica, .long, { _, _ in true }) {
            return "The replica \(replica) serves nothing, now and when \(primary) is down: \(fault.text)."
        }
        // Which servers a cluster takes for replicas is not for a URL to say.
        guard !isCluster, found.refusal == nil, found.isReadable else { return nil }
        let key = Self.trial("replica \(SystemClock.monotonicNanoseconds())")
        guard demand([Self.set(key, Array("1".utf8), seconds: 10)], .long, { _, _ in true }) == nil else { return nil }
        let deadline = Deadline.after(Self.replicationTime)
        repeat {
            var hasIt = false
            let fault = demand([Self.get(key, weight: 1)], on: replica, .long) { _, reply in
                hasIt = reply.value != nil
                return true
            }
            if let fault { return "The replica \(replica) serves nothing when \(primary) is down: \(fault.text)." }
            if hasIt { return nil }
            usleep(20_000)
        } while !deadline.hasPassed
        return "\(replica) is no replica of \(primary): what was put there did not come to it in two seconds."
    }
}
