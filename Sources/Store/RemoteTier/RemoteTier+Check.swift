// What somebody who sets up a remote wants to know: is it there, may this user use it, how fast is it, what to change.

package import KVFormat
internal import PageCodec
internal import Threads

/// What a check of a remote has found.
package struct RemoteCheck: Sendable {
    /// Where it is: scheme and servers of the URL.
    package var url = ""
    /// The server's own name and version, if this user may ask.
    package var version: String?
    /// Servers that take changes, and servers that have copies.
    package var primaries = 0
    package var replicas = 0
    /// Whether every slot of a cluster has a server.
    package var isWhole = true
    /// Whether this user may write.
    package var writes = false
    /// Whether the server has no room for more.
    package var isFull = false
    /// The median and the longest time of a question.
    package var questionTime = Duration.zero
    package var longestQuestionTime = Duration.zero
    /// Bytes per second of values of 1 MiB, put and fetched.
    package var putRate = 0.0
    package var fetchRate = 0.0
    /// Limit on the server's memory; 0 for none, nil if this user may not ask.
    package var memoryLimit: UInt64?
    /// What the server does when its memory is full.
    package var evictionPolicy: String?
    /// What to change, one sentence each.
    package var advice: [String] = []
}

extension RemoteTier {
    /// Questions whose times are measured, and values that are put and fetched.
    private static var questions: Int { 100 }
    private static var values: Int { 8 }
    private static var valueBytes: Int { 1 << 20 }

    /// Tries everything that a store does with a remote. The values that it puts are gone after ten seconds.
    ///
    /// - Throws: `.remoteFailure` when it cannot be reached, or this user may not read.
    package func check() throws(StoreError) -> RemoteCheck {
        var found = RemoteCheck()
        found.url = shownURL
        // Connecting is no part of a question.
        _ = try held([.sha256([])], usedAt: nil)
        let times = try questionTimes()
        found.questionTime = .nanoseconds(Int64(times[times.count / 2]))
        found.longestQuestionTime = .nanoseconds(Int64(times.last ?? 0))
        let map = client.map
        found.primaries = Set(map.shards.map(\.primary)).count
        found.replicas = Set(map.shards.flatMap(\.replicas)).count
        found.isWhole = map.isWhole
        try measure(&found)
        ask(&found)
        advise(&found)
        return found
    }

    private func questionTimes() throws(StoreError) -> [UInt64] {
        var times: [UInt64] = []
        for number in 0..<Self.questions {
            let began = SystemClock.monotonicNanoseconds()
            var refused: RemoteFault?
            let command = Self.exists(.sha256(Array("question \(number)".utf8)))
            let fault = client.run([command], before: .after(.seconds(5)), stall: Self.stall) { _, reply in
                if case .error = reply { refused = reply.refusal }
                return true
            }
            if let fault = fault ?? refused { throw failure(fault) }
            times.append(SystemClock.monotonicNanoseconds() - began)
        }
        return times.sorted()
    }

    private func measure(_ found: inout RemoteCheck) throws(StoreError) {
        let value = (0..<Self.valueBytes).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let keys = (0..<Self.values).map { number in
            Array("pfx:1:c:\(SystemClock.monotonicNanoseconds()):\(number)".utf8)
        }
        func run(_ commands: [RedisCommand], _ isRight: (RespValue) -> Bool) throws(StoreError) -> Double? {
            let began = SystemClock.monotonicNanoseconds()
            var right = 0
            let fault = client.run(commands, before: .after(Self.patience), stall: Self.stall) { _, reply in
                if isRight(reply) { right += 1 }
                return true
            }
            if let fault { throw failure(fault) }
            let seconds = Double(SystemClock.monotonicNanoseconds() - began) / 1e9
            return right == commands.count ? Double(Self.values * Self.valueBytes) / seconds : nil
        }
        let puts = keys.map { key in
            RedisCommand(
                [Array("SET".utf8), key, value, Array("EX".utf8), Array("10".utf8)], slot: SlotMap.slot(of: key),
                changes: true)
        }
        let putRate = try run(puts) { reply in
            if reply.refusal == .full { found.isFull = true }
            return reply.isOK
        }
        guard let putRate else { return }
        found.writes = true
        found.putRate = putRate
        let gets = keys.map { key in
            RedisCommand([Array("GET".utf8), key], slot: SlotMap.slot(of: key), weight: Self.valueBytes)
        }
        let fetchRate = try run(gets) { reply in
            guard case .bulk(let record) = reply else { return false }
            return record.byteCount == value.count
        }
        found.fetchRate = fetchRate ?? 0
    }

    /// Asks the server about itself; a user who may not ask learns less.
    private func ask(_ found: inout RemoteCheck) {
        var text = ""
        _ = client.run([RedisCommand("INFO", hasLongAnswer: true)], before: .after(.seconds(5)), stall: Self.stall) {
            _, reply in
            switch reply {
            case .text(let bytes): text = String(decoding: bytes, as: UTF8.self)
            case .bulk(let record):
                text = unsafe record.bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
            default: break
            }
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
    }

    private func advise(_ found: inout RemoteCheck) {
        if !found.isWhole { found.advice.append("Some slots of the cluster have no server: repair the cluster.") }
        if found.isFull {
            found.advice.append(
                "The server's memory is full: raise maxmemory, or set maxmemory-policy allkeys-lru.")
        } else if !found.writes {
            found.advice.append("This user may not write: give it the right to SET keys pfx:*, or put nothing.")
        }
        if let limit = found.memoryLimit, limit == 0 {
            found.advice.append("The server's memory has no limit: set maxmemory.")
        }
        if let policy = found.evictionPolicy, policy == "noeviction" {
            found.advice.append("A full server takes no more: set maxmemory-policy allkeys-lru.")
        }
        if found.longestQuestionTime > options.lookupTime {
            found.advice.append("Some questions took longer than a look-up waits: look at the network.")
        }
    }
}
