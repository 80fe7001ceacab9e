// Several remotes in turn: a fast one in front of a large one, such as Redis before an object store.

internal import KVFormat
internal import PageCodec
internal import Records
internal import Threads

/// Remotes that are read in turn. What one of them does not have, or does not say in time, the next one is asked for.
/// Pages are put to the first one alone. Thread-safe as they are.
final class SeveralClients: RemoteClient {
    /// A remote, and how long a look-up waits for it.
    typealias Member = (client: any RemoteClient, lookupTime: Duration)

    private let members: [Member]
    private var first: any RemoteClient { members[0].client }

    /// - Parameter members: one at least, in the order in which they are asked.
    init(_ members: [Member]) {
        precondition(!members.isEmpty, "there is a remote")
        self.members = members
    }

    func prepare() { for member in members { member.client.prepare() } }

    func close() { for member in members { member.client.close() } }

    var faults: [String] { members.flatMap { $0.client.faults } }

    // MARK: Reading

    func leading(_ chain: [PrefixHash], behind earlier: [PrefixHash], _ patience: Patience) -> LeadingPages {
        var found = LeadingPages()
        /// Where each member's answer ended, if it was sure of that.
        var ends: [Int?] = []
        for member in members where found.count < chain.count && !patience.deadline.hasPassed {
            let deadline = Deadline.earlier(patience.deadline, .after(member.lookupTime))
            let part = member.client.leading(
                Array(chain[found.count...]), behind: Array((earlier + chain[..<found.count]).suffix(16)),
                Patience(deadline: deadline, stall: patience.stall))
            found.count += part.count
            found.questions += part.questions
            found.isLate = found.isLate || part.isLate
            ends.append(part.isSure ? found.count : nil)
        }
        // An earlier one may have the page before which a later one ended.
        found.isSure = ends.count == members.count && ends.allSatisfy { $0 == found.count }
        return found
    }

    func fetch(
        _ hashes: [PrefixHash], pageBytes: Int, _ patience: Patience, _ onValue: (Int, FetchedValue) -> Bool
    ) -> RemoteFault? {
        var open = Array(hashes.indices)
        var fault: RemoteFault?
        for (number, member) in members.enumerated() where !open.isEmpty {
            let isLast = number == members.count - 1
            let asked = open
            var lacking = Set(asked)
            var isEnded = false
            fault = member.client.fetch(asked.map { hashes[$0] }, pageBytes: pageBytes, patience) { index, value in
                if case .nothing = value, !isLast { return true }
                lacking.remove(asked[index])
                isEnded = !onValue(asked[index], value)
                return !isEnded
            }
            if isEnded { return nil }
            open = asked.filter { lacking.contains($0) }
        }
        return open.isEmpty ? nil : fault
    }

    func distrust(_ hash: PrefixHash, withNeighbours: Bool) -> Bool {
        members.reduce(false) { $1.client.distrust(hash, withNeighbours: withNeighbours) || $0 }
    }

    func space(_ root: PrefixHash, _ patience: Patience) throws(RemoteFault) -> [UInt8]? {
        var fault: RemoteFault?
        for member in members {
            do throws(RemoteFault) {
                if let bytes = try member.client.space(root, patience) { return bytes }
            } catch {
                fault = error
            }
        }
        if let fault { throw fault }
        return nil
    }

    func list(_ root: PrefixHash, bytes: Int, _ onValue: (ListedValue) -> Void) throws(RemoteFault) {
        for member in members { try member.client.list(root, bytes: bytes, onValue) }
    }

    // MARK: Putting, and what tools ask: the first one

    func held(_ chains: [[PrefixHash]], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash> {
        try first.held(chains, patience)
    }

    func put(
        _ pages: [RemotePut], timeToLive: Duration?, _ patience: Patience, _ onOutcome: (Int, TakeOutcome) -> Void
    ) -> RemoteFault? {
        first.put(pages, timeToLive: timeToLive, patience, onOutcome)
    }

    func unlisted(_ hashes: [PrefixHash], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash> {
        try first.unlisted(hashes, patience)
    }

    func mendLists(_ patience: Patience) throws(RemoteFault) { try first.mendLists(patience) }

    func put(space: SpaceDescriptor, timeToLive: Duration?, _ patience: Patience) throws(RemoteFault) {
        try first.put(space: space, timeToLive: timeToLive, patience)
    }

    func question(_ hash: PrefixHash, _ patience: Patience) throws(RemoteFault) {
        try first.question(hash, patience)
    }

    func putTrial(_ keys: [String], _ value: [UInt8], _ patience: Patience) -> RemoteFault? {
        first.putTrial(keys, value, patience)
    }

    func fetchTrial(_ keys: [String], bytes: Int, _ patience: Patience) throws(RemoteFault) -> Int {
        try first.fetchTrial(keys, bytes: bytes, patience)
    }

    func rights(isWritable: Bool) -> [(name: String, use: String, refusal: RemoteFault?)] {
        first.rights(isWritable: isWritable)
    }

    func namedServers() -> [(address: String, fault: RemoteFault?)] { first.namedServers() }

    func describe(_ found: inout RemoteCheck) { first.describe(&found) }
}
