// What tools ask of an object store: lists of pages, and how it is.

internal import KVFormat
internal import PageCodec
internal import Threads

extension S3Client {
    // MARK: Listing

    /// Packs whose names come with one answer, and the bytes of such an answer at most.
    private static let (listed, listBytes) = (1000, 4 << 20)

    func list(_ root: PrefixHash, bytes: Int, _ onValue: (ListedValue) -> Void) throws(RemoteFault) {
        var token: String?
        repeat {
            let (packs, next) = try packs(root, from: token)
            for pack in packs { try headers(pack, bytes, onValue) }
            token = next
        } while token != nil
    }

    private func packs(_ root: PrefixHash, from token: String?) throws(RemoteFault) -> ([String], String?) {
        let folder = "1/k/\(root)/"
        // In alphabetic order, as signatures have them.
        var query = token.map { "continuation-token=\(Self.encoded($0))&" } ?? ""
        query += "list-type=2&max-keys=\(Self.listed)&prefix=\(Self.encoded(url.prefix + folder))"
        var answer: [UInt8] = []
        let call = HTTPCall(address: url.address("", query: query), parts: [Self.listBytes])
        let fault = run([call], .long) { _, request in
            answer = request.bytes
            return true
        }
        if let fault { throw fault }
        let text = String(decoding: answer, as: UTF8.self)
        let names = XMLText.all("Key", in: text).compactMap { key -> String? in
            let digits = String(key.dropFirst(url.prefix.count + folder.count))
            return Digest(hex: digits).map { _ in folder + digits }
        }
        guard XMLText.first("IsTruncated", in: text) == "true" else { return (names, nil) }
        guard let next = XMLText.first("NextContinuationToken", in: text), !next.isEmpty, next != token else {
            throw .nonsense
        }
        return (names, next)
    }

    /// Percent encoding as signatures have it.
    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            guard !(character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character)))
            else {
                return String(character)
            }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }

    /// Reads the index of a pack, and the beginnings of its values.
    private func headers(
        _ name: String, _ bytes: Int, _ onValue: (ListedValue) -> Void
    ) throws(RemoteFault) {
        let index: PackIndex
        switch try fronts([name], .long)[0] {
        case .index(let found): index = found
        case .gone: return
        case .unreadable: return onValue(.unreadablePack)
        }
        let now = SystemClock.monotonicNanoseconds()
        state.withLock { $0.packs.learn(index, at: now) }
        var offset = index.size
        let calls = index.entries.map { entry in
            defer { offset += entry.bytes }
            let size = min(bytes, entry.bytes)
            return HTTPCall(address: url.address(name), range: offset..<offset + size, parts: [size])
        }
        let second = run(calls, .long) { place, request in
            guard request.outcome == .ended, [206, 416].contains(request.status) else { return true }
            let hash = index.entries[place].hash
            let isWhole = request.received == request.parts[0].byteCount
            onValue(isWhole ? .page(hash, request.parts[0]) : .unreadable(hash))
            return true
        }
        if let second { throw second }
    }

    // MARK: Checking

    func question(_ hash: PrefixHash, _ patience: Patience) throws(RemoteFault) {
        if let fault = run([indexCall(hash)], patience, { _, _ in true }) { throw fault }
    }

    func putTrial(_ keys: [String], _ value: [UInt8], _ patience: Patience) -> RemoteFault? {
        let body = EncodedRecord(copying: unsafe value.span.bytes)
        return run(keys.map { put("1/c/\($0)", body, isNew: false) }, patience) { _, _ in true }
    }

    /// The values are removed afterwards.
    func fetchTrial(_ keys: [String], bytes: Int, _ patience: Patience) throws(RemoteFault) -> Int {
        var right = 0
        // By a range, as pages come.
        let calls = keys.map { HTTPCall(address: url.address("1/c/\($0)"), range: 0..<bytes, parts: [bytes]) }
        let fault = run(calls, patience) { _, request in
            if request.outcome == .ended, request.received == bytes { right += 1 }
            return true
        }
        // A user who may not remove anything leaves them to the operator's rules.
        _ = run(keys.map { HTTPCall(method: "DELETE", address: url.address("1/c/\($0)")) }, patience) { _, _ in true }
        if let fault { throw fault }
        return right
    }

    func rights(isWritable: Bool) -> [(name: String, use: String, refusal: RemoteFault?)] {
        let folder = Self.encoded(url.prefix + "1/k/")
        var tries = [
            ("s3:GetObject", "a look-up", indexCall(.zero)),
            (
                "s3:ListBucket", "pfx pull",
                HTTPCall(
                    address: url.address("", query: "list-type=2&max-keys=1&prefix=\(folder)"), parts: [1 << 20])
            ),
        ]
        if isWritable {
            let body = EncodedRecord(copying: unsafe [UInt8](repeating: 1, count: 1).span.bytes)
            tries.append(("s3:PutObject", "putting pages", put("1/c/rights", body, isNew: false)))
        }
        let found = tries.map { name, use, call in (name, use, run([call], .long) { _, _ in true }) }
        _ = run([HTTPCall(method: "DELETE", address: url.address("1/c/rights"))], .long) { _, _ in true }
        return found
    }

    func namedServers() -> [(address: String, fault: RemoteFault?)] { [] }

    func describe(_ found: inout RemoteCheck) {
        if found.refusal == .full {
            found.advice.append("The object store is full: make room, or raise its quota.")
        }
        var hasRules: Bool?
        let call = HTTPCall(address: url.address("", query: "lifecycle="), parts: [1 << 16])
        _ = run([call], .long) { _, request in
            if request.outcome == .ended {
                hasRules = request.status == 200 ? true : request.status == 404 ? false : nil
            }
            return true
        }
        if hasRules == false {
            found.advice.append("Nothing removes old objects: give the bucket a lifecycle rule that expires them.")
        }
    }
}
