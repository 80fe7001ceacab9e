// What somebody who sets up a remote wants to know: is it there, may this user use it, how fast is it, what to change.

package import KVFormat
internal import Threads

/// What a check of a remote has found.
package struct RemoteCheck: Sendable {
    /// Where it is: scheme and servers of the URL.
    package var url = ""
    /// The server's own name and version, if this user may ask.
    package var version: String?
    /// Servers that take changes, and servers that have copies; none if nobody says.
    package var primaries = 0
    package var replicas = 0
    /// Servers that the URL names, of several, and what is wrong with each; nil for one that is well.
    package var servers: [(address: String, fault: RemoteFault?)] = []
    /// Whether this user may read.
    package var isReadable = true
    /// What a store and the commands do there, and why this user may not; nil when it may.
    package var rights: [(name: String, use: String, refusal: RemoteFault?)] = []
    /// Why nothing could be put; nil when this user may write, and there is room.
    package var refusal: RemoteFault?
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
    /// - Throws: `.remoteFailure` when it cannot be reached, or does not answer in time.
    package func check() throws(StoreError) -> RemoteCheck {
        var found = RemoteCheck()
        found.url = shownURL
        measuring: do throws(RemoteFault) {
            // Connecting is no part of a question.
            found.isReadable = try mayAsk()
            guard found.isReadable else { break measuring }
            let times = try questionTimes()
            found.questionTime = .nanoseconds(Int64(times[times.count / 2]))
            found.longestQuestionTime = .nanoseconds(Int64(times.last ?? 0))
            try measure(&found)
        } catch {
            if error.isLackOfRights {
                // What is missing is asked for right by right.
                found.isReadable = false
            } else {
                // Replicas may be read while their primary is down.
                found.servers = client.namedServers()
                guard found.isReadable, found.servers.contains(where: { $0.fault == nil }) else { throw failure(error) }
                found.refusal = error
            }
        }
        if found.servers.isEmpty { found.servers = client.namedServers() }
        let isPrimaryDown = found.refusal.map { !$0.isRefusal && $0 != .full } ?? false
        found.rights = client.rights(isWritable: found.refusal != .some(.full) && !isPrimaryDown)
        let unbegun = connectionRights(found)
        if !unbegun.isEmpty { found.rights = unbegun }
        let foreign = RemoteFault.refused("NOPERM" + RemoteFault.foreignKeys)
        for right in found.rights {
            switch right.refusal {
            case nil: continue
            case .refused:
                // It is not the right that is missing where the keys are, and no right at a replica.
                if right.refusal == .refused("READONLY") {
                    found.advice.append(RemoteFault.refused("READONLY").remedy)
                } else if right.refusal != foreign {
                    found.advice.append("This user lacks the right \(right.name), which \(right.use) needs.")
                }
                if !found.isReadable, right.name == "SET" || right.name == "s3:PutObject" {
                    found.refusal = right.refusal
                }
            // A server that is late or gone says nothing about rights.
            case .some(let fault): throw failure(fault)
            }
        }
        if found.rights.contains(where: { $0.refusal == foreign }) { found.advice.append(foreign.remedy) }
        client.describe(&found)
        if found.isReadable, found.refusal == nil, found.fetchRate == 0 {
            found.advice.append(
                "Some values that were put did not come back: a server that is read does not have them, or evicts at once."
            )
        }
        if found.longestQuestionTime > lookupTime {
            found.advice.append(
                "Some questions took longer than a look-up waits: look at the network, or give look-ups more time.")
        }
        return found
    }

    /// A connection that a user lacks the right to begin says nothing about its other rights.
    private func connectionRights(_ found: RemoteCheck) -> [(name: String, use: String, refusal: RemoteFault?)] {
        var rights: [(name: String, use: String, refusal: RemoteFault?)] = []
        for right in found.rights {
            guard let name = right.refusal?.connectionRight, !rights.contains(where: { $0.name == name }) else {
                continue
            }
            rights.append((name, "every connection", right.refusal))
        }
        return rights
    }

    /// False for a user whom the server knows and does not let read: what it may do is asked right by right.
    private func mayAsk() throws(RemoteFault) -> Bool {
        do throws(RemoteFault) { try client.question(.sha256([]), .long) } catch {
            guard error.isLackOfRights else { throw error }
            return false
        }
        return true
    }

    private func questionTimes() throws(RemoteFault) -> [UInt64] {
        var times: [UInt64] = []
        for number in 0..<Self.questions {
            let began = SystemClock.monotonicNanoseconds()
            try client.question(
                .sha256(Array("question \(number)".utf8)), Patience(deadline: .after(.seconds(5)), stall: .seconds(5)))
            times.append(SystemClock.monotonicNanoseconds() - began)
        }
        return times.sorted()
    }

    private func measure(_ found: inout RemoteCheck) throws(RemoteFault) {
        let value = (0..<Self.valueBytes).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let keys = (0..<Self.values).map { "\(SystemClock.monotonicNanoseconds())-\($0)" }
        func rate(since began: UInt64) -> Double {
            Double(Self.values * Self.valueBytes) * 1e9 / Double(SystemClock.monotonicNanoseconds() - began)
        }
        let began = SystemClock.monotonicNanoseconds()
        switch client.putTrial(keys, value, .long) {
        case nil: break
        case .refused(let code): return found.refusal = .refused(code)
        case .full: return found.refusal = .full
        case let fault?: throw fault
        }
        found.putRate = rate(since: began)
        let asked = SystemClock.monotonicNanoseconds()
        let right = try client.fetchTrial(keys, bytes: value.count, .long)
        if right == keys.count { found.fetchRate = rate(since: asked) }
    }
}
